package suggest

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
)

// ignoreRule proposes lines for the ignore file: for what no build needs and
// what makes a COPY of the whole context miss in every build. See
// docs/rules/ignore.md.
func ignoreRule(in Input) []Suggestion {
	b := in.Builds[0]
	if b.Ignore.Path == "" {
		return nil
	}
	copied, ok := in.wholeCopy(b)
	if !ok {
		return nil
	}
	found := slices.DeleteFunc(in.candidates(b), func(c candidate) bool { return !in.everyBuildTakes(c.example) || c.wanted(in.File) })
	if len(found) > 0 && b.Ignore.Shared {
		// Asked for no sooner: an answer that looked at others is given anew when they change.
		sharers := b.Ignore.sharers()
		found = slices.DeleteFunc(found, func(c candidate) bool {
			return len(sharers) == 0 || slices.ContainsFunc(sharers, func(s Sharer) bool { return c.wanted(s.File) })
		})
	}
	var lines, why []string
	for _, c := range found {
		lines = append(lines, c.line)
		why = append(why, c.why)
	}
	if len(lines) == 0 {
		return nil
	}
	text, ending := ended(string(b.Ignore.Text))
	for _, line := range lines {
		text += line + ending
	}
	s := Suggestion{
		Rule: "ignore", Title: "ignore " + list(lines, "and"), Lines: copied.Lines, Proof: Advice,
		Evidence: fmt.Sprintf("`%s` takes %s: %s.", short(copied.Text), pronounOf(len(lines)), strings.Join(why, "; ")),
		Obstacle: "the images would be without these files",
		Changes:  []Change{{Path: b.Ignore.Path, Old: b.Ignore.Text, New: []byte(text)}},
	}
	if run := programs(in.File); len(run) > 0 && lines[0] == ".git" {
		s.Obstacle += "; " + list(run, "and") + takenNot(len(run)) + " to read .git"
	}
	in.price(&s, variant{}, variant{ignore: []byte(text)})
	s.spares(in.droppedBytes(b, lines), Transfer, Observed)
	return []Suggestion{s}
}

func takenNot(n int) string {
	if n == 1 {
		return " is taken not"
	}
	return " are taken not"
}

// droppedBytes returns the size of what lines of candidates leave out.
func (in Input) droppedBytes(b Build, lines []string) (total int64) {
	for _, line := range lines {
		name, deep := strings.CutPrefix(line, "**/")
		if !deep {
			total += b.Context.Size(name)
			continue
		}
		for f := range b.Context.Files() {
			if slices.Contains(strings.Split(f, "/"), name) {
				total += b.Context.Size(f)
			}
		}
	}
	return total
}

// wholeCopy returns the first instruction of the build that copies the root of
// the context.
func (in Input) wholeCopy(b Build) (dockerfile.Instruction, bool) {
	needed := reachable(in.File, b.Target)
	for _, st := range in.File.Stages {
		for _, ins := range st.Instructions {
			if needed[st.Index] && takesContext(ins) && slices.ContainsFunc(ins.Copy.Sources, func(s string) bool { return path.Clean("/"+s) == "/" }) {
				return ins, true
			}
		}
	}
	return dockerfile.Instruction{}, false
}

// everyBuildTakes reports a file that some step of each build takes.
func (in Input) everyBuildTakes(name string) bool {
	return !slices.ContainsFunc(in.Builds, func(b Build) bool { return !in.taken(b, name) })
}

// A candidate is something that hardly any image needs.
type candidate struct {
	line    string // for the ignore file
	example string // a file of it that is in the context
	why     string
	wanted  func(*dockerfile.File) bool // a step may need it after all
}

// candidates returns what of the context hardly any image needs.
func (in Input) candidates(b Build) []candidate {
	var list []candidate
	if b.Context.Exists(".git") {
		list = append(list, candidate{".git", ".git/HEAD", ".git changes with each commit, and so each build copies again", usesGit})
	}
	// What tools of the desk leave lying about, at any depth.
	droppings := []struct{ name, line, why string }{
		{".DS_Store", "**/.DS_Store", "the Finder writes .DS_Store"},
		{"__pycache__", "**/__pycache__", "Python on this machine writes __pycache__"},
		{".pytest_cache", "**/.pytest_cache", "tests on this machine write .pytest_cache"},
		{".mypy_cache", "**/.mypy_cache", "checks on this machine write .mypy_cache"},
		{".ruff_cache", "**/.ruff_cache", "checks on this machine write .ruff_cache"},
		{".idea", "**/.idea", "an editor writes .idea"},
		{".terraform", "**/.terraform", "terraform writes .terraform"},
	}
	found := map[string]string{}
	for name := range b.Context.Files() {
		for part := range strings.SplitSeq(name, "/") {
			if _, ok := found[part]; !ok && slices.ContainsFunc(droppings, func(d struct{ name, line, why string }) bool { return d.name == part }) {
				found[part] = name
			}
		}
	}
	for _, d := range droppings {
		if example, ok := found[d.name]; ok {
			named := func(f *dockerfile.File) bool { return strings.Contains(string(f.Text), d.name) }
			list = append(list, candidate{d.line, example, d.why, named})
		}
	}
	return list
}

// usesGit reports a step that may read the repository: git itself, tools that
// take a version from it, or a command that is not known, where .git may be.
func usesGit(f *dockerfile.File) bool {
	has := make([]bool, len(f.Stages))
	for _, st := range f.Stages {
		v, here := newStageView(f, st), st.BaseStage >= 0 && has[st.BaseStage]
		for k, ins := range st.Instructions {
			switch {
			case ins.Copy != nil && ins.Copy.From == "":
				if strings.Contains(ins.Text, ".git") {
					return true
				}
				here = here || slices.ContainsFunc(ins.Copy.Sources, func(s string) bool { return path.Clean("/"+s) == "/" || strings.ContainsAny(s, "*?[$") })
			case ins.Copy != nil:
				from := f.StageOf(ins.Copy.From)
				here = here || from >= 0 && has[from]
			case ins.Run != nil:
				mounted := slices.ContainsFunc(ins.Run.Mounts, func(m dockerfile.Mount) bool { return m.Type == "bind" || m.Type == "" })
				if !here && !mounted {
					continue
				}
				commands, ok := everyCommand(ins.Run, v.shell[k])
				if !ok {
					return true
				}
				for _, c := range commands {
					if c.removesGit() {
						here = false
					} else if (here || mounted) && mayReadGit(c) {
						return true
					}
				}
			}
		}
		has[st.Index] = here
	}
	return false
}

// removesGit reports a command that takes the repository away, whose image was to be
// without it all along.
func (c command) removesGit() bool {
	return c.words[0] == "rm" && len(c.asked) == 0 && slices.ContainsFunc(c.words, func(w string) bool { return path.Base(w) == ".git" })
}

// ownProgram reports a command that runs a program of the project's own, few of which
// look at their repository.
func (c command) ownProgram() bool {
	words := c.words
	if len(words) > 2 && words[0] == "bundle" && words[1] == "exec" {
		words = words[2:]
	}
	return slices.Contains([]string{"python", "python3", "php", "rails", "rake", "bin/rails", "./bin/rails", "bin/rake", "./bin/rake", "./manage.py", "manage.py"}, words[0]) &&
		!slices.Contains(words, "-m") && !slices.Contains(words, "setup.py")
}

// programs returns what of the project's own a build runs.
func programs(f *dockerfile.File) (list []string) {
	for _, st := range f.Stages {
		v := newStageView(f, st)
		for k, ins := range st.Instructions {
			if ins.Run == nil {
				continue
			}
			commands, _ := everyCommand(ins.Run, v.shell[k])
			for _, c := range commands {
				if text := "`" + short(strings.Join(c.words, " ")) + "`"; c.ownProgram() && !slices.Contains(list, text) {
					list = append(list, text)
				}
			}
		}
	}
	return list
}

// mayReadGit reports a command that may read the repository. A Go build stamps
// the commit into the program; package managers for Python may take a version
// from a tag.
func mayReadGit(c command) bool {
	if c.ownProgram() || slices.Contains(c.words, "-buildvcs=false") || c.starts("go", "mod", "download") {
		return false
	}
	if _, ok := pipArgs(c); ok {
		return slices.Contains(c.words, ".") || slices.Contains(c.words, "-e")
	}
	if slices.Contains([]string{"npm", "yarn", "pnpm", "bun", "node", "next", "vite", "tsc"}, c.words[0]) {
		return false
	}
	return !slices.Contains(blindCommands(), c.words[0]) && !isFree(c)
}
