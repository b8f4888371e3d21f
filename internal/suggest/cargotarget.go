package suggest

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/effects"
)

// cargoSpares is the share of a cargo build that a warm target folder saves: the dependencies, which
// are most of what is compiled.
const cargoSpares = 0.7

// cargoTarget advises to keep cargo's target folder in a cache mount, where a stage that does not
// ship builds with cargo in one step, and what others copy from the folder is known by name.
//
// It is advice because cargo goes by the times of files, and BuildKit does not: a COPY that hits brings
// files with the times that they had when it ran, which may be older than what the mount holds.
func cargoTarget(in Input) []Suggestion {
	var list []Suggestion
	for _, st := range in.File.Stages {
		image := imageName(st.Base)
		rust := st.BaseStage < 0 && slices.ContainsFunc(effects.Caches(), func(c *effects.Cache) bool { return c.Name == "cargo" && len(c.Images[image]) > 0 })
		ends := slices.ContainsFunc(in.Builds, func(b Build) bool { return ships(in.File, b.Target, st.Index) })
		based := slices.ContainsFunc(in.File.Stages, func(o dockerfile.Stage) bool { return o.BaseStage == st.Index })
		if !rust || ends || based || !neededByAny(in, st.Index) || in.setsTarget() {
			continue
		}
		if s, ok := in.mountForTarget(st); ok {
			list = append(list, s)
		}
	}
	return list
}

// setsTarget reports whether the target folder may lie elsewhere.
func (in Input) setsTarget() bool {
	context := in.Builds[0].Context
	return strings.Contains(string(in.File.Text), "CARGO_") || slices.ContainsFunc([]string{".cargo/config.toml", ".cargo/config"}, func(name string) bool {
		text, err := context.Read(name)
		return err == nil && strings.Contains(string(text), "target-dir")
	})
}

// mountForTarget is cargoTarget for one stage.
func (in Input) mountForTarget(st dockerfile.Stage) (Suggestion, bool) {
	v := in.view(st)
	at := slices.IndexFunc(st.Instructions, func(ins dockerfile.Instruction) bool {
		return ins.Run != nil && (strings.Contains(ins.Text, "cargo build") || strings.Contains(ins.Text, "cargo install") && strings.Contains(ins.Text, "--path"))
	})
	if at < 0 {
		return Suggestion{}, false
	}
	run := st.Instructions[at]
	commands, ok := v.everyCommand(at)
	elsewhere := func(w string) bool {
		return slices.ContainsFunc([]string{"--target-dir", "--manifest-path", "--artifact-dir", "--out-dir", "--config"}, func(flag string) bool { return strings.HasPrefix(w, flag) })
	}
	if !ok || len(commands) != 1 || !commands[0].starts("cargo", "build") && !installsProject(commands[0]) || slices.ContainsFunc(commands[0].words, elsewhere) ||
		len(commands[0].assigns) > 0 || len(run.Run.Args) > 0 || run.Run.Heredocs > 0 || !path.IsAbs(v.dirs[at]) {
		return Suggestion{}, false
	}
	target := path.Join(v.dirs[at], "target")
	for i, ins := range st.Instructions {
		if i < at && takesContext(ins) && v.dest(i) != v.dirs[at] {
			if _, above := below(v.dest(i), v.dirs[at]); above {
				return Suggestion{}, false // of a member the folder is that of the workspace, which may be there
			}
		}
		if strings.Contains(ins.Text, outFolder) {
			return Suggestion{}, false
		}
		// Another step may have filled the folder, for this one to go on from, or use it.
		text := in.File.Source(ins.Lines) // with what its heredocs run
		if ins.Run != nil && i != at && strings.Contains(text, "cargo") && !strings.Contains(text, "cargo fetch") || i > at && strings.Contains(text, "target") {
			return Suggestion{}, false
		}
		if ins.Run != nil && slices.ContainsFunc(ins.Run.Mounts, func(m dockerfile.Mount) bool { return strings.Contains(m.Target, "target") }) {
			return Suggestion{}, false
		}
	}
	files, edits, ok := in.takenOut(st, target)
	installs := commands[0].starts("cargo", "install") // the program is then not in the target folder
	if !ok || installs != (len(files) == 0) {
		return Suggestion{}, false
	}
	n := in.repeated(st, run)
	if n == 0 && in.Commits.Len() > 0 {
		return Suggestion{}, false
	}
	f := in.File
	splices := addMounts(f, run, []string{"--mount=type=cache,target=" + target})
	end := lineStart(f, run.Lines.To) + len(strings.TrimRight(f.Source(dockerfile.Lines{From: run.Lines.To, To: run.Lines.To}), " \t\r\n"))
	brk := " " + string(f.Escape) + "\n" + continued(f, run) + "&& "
	if !installs {
		splices = append(splices, splice{end, end, brk + "mkdir -p " + outFolder + brk + "cp " + strings.Join(files, " ") + " " + outFolder + "/"})
	}
	edits = append(edits, spliced(f, run, splices...))
	edit, err := rewrite(in, 0, edits...)
	if err != nil {
		return Suggestion{}, false
	}
	s := Suggestion{
		Rule: "cache-mount", Title: "keep what cargo compiles in a cache mount", Lines: run.Lines, Proof: Advice, Changes: []Change{edit},
		Evidence: fmt.Sprintf("`%s` compiles every dependency anew each time it runs; there is no history to count changes in.", short(run.Text)),
		Obstacle: "cargo goes by the times of files: where a build reuses a COPY of older files than the last one compiled, as after a revert, " +
			"it takes the program of that for current; `touch` of the sources before it avoids that",
	}
	if n > 0 {
		s.Evidence = fmt.Sprintf("%d of the last %s %s files that `%s` or a step above it takes: each time it compiles every dependency anew.",
			n, in.Commits.Counted(), change(n), short(run.Text))
	}
	price := in.pricer()
	whole := price.cost(run)
	in.price(&s, variant{}, variant{costs: map[string]float64{run.Text: whole * (1 - cargoSpares)}})
	if s.SavesSeconds > 0 {
		s.Costs = Prior
	}
	return s, whole*cargoSpares >= leastTold
}

// installsProject reports whether a command is a `cargo install` of the project in the working folder,
// which compiles in the target folder there, as a build does, and then puts the program elsewhere.
func installsProject(c command) bool {
	if !c.starts("cargo", "install") {
		return false
	}
	words := strings.Split(strings.ReplaceAll(strings.Join(c.words, " "), "--path=", "--path "), " ")
	at := slices.Index(words, "--path")
	return at >= 0 && at+1 < len(words) && path.Clean(words[at+1]) == "."
}

// outFolder is where a RUN puts what it builds in a cache mount. A stage that has a word about it
// is left alone.
const outFolder = "/out"

// takenOut returns the files below target that COPYs take from a stage, relative to the folder in
// which target is, and the edits that have them take these from outFolder. It returns false where
// something else than single files may be taken.
func (in Input) takenOut(st dockerfile.Stage, target string) (files []string, edits []dockerfile.Edit, ok bool) {
	for _, other := range in.File.Stages {
		for _, ins := range other.Instructions {
			if ins.Run != nil && slices.ContainsFunc(ins.Run.Mounts, func(m dockerfile.Mount) bool { return m.From != "" && in.File.StageOf(m.From) == st.Index }) {
				return nil, nil, false
			}
			if ins.Copy == nil || ins.Copy.From == "" || in.File.StageOf(ins.Copy.From) != st.Index {
				continue
			}
			text := in.File.Source(ins.Lines)
			for _, source := range ins.Copy.Sources {
				rel, inside := below(target, path.Clean("/"+source))
				if _, holds := below(path.Clean("/"+source), target); holds || strings.ContainsAny(source, "*?[$") || strings.HasSuffix(source, "/") {
					return nil, nil, false
				}
				if !inside {
					continue
				}
				name := path.Base(rel)
				if strings.Count(text, source) != 1 || slices.ContainsFunc(files, func(f string) bool { return path.Base(f) == name && f != "target/"+rel }) {
					return nil, nil, false
				}
				text = strings.Replace(text, source, outFolder+"/"+name, 1)
				if !slices.Contains(files, "target/"+rel) {
					files = append(files, "target/"+rel)
				}
			}
			if text != in.File.Source(ins.Lines) {
				edits = append(edits, dockerfile.Edit{Lines: ins.Lines, Text: text})
			}
		}
	}
	return files, edits, true
}
