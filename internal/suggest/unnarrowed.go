package suggest

import (
	"bytes"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
)

// unnarrowed proposes to narrow mounts for which a build sends its whole context: bind mounts
// without a source, and tmpfs mounts, which count as a use of the context's root unless they have
// a from (BuildKit: dockerfile2llb.dispatchRunMounts). See docs/rules/unnarrowed.md.
func unnarrowed(in Input) []Suggestion {
	list := tmpfsFrom(in)
	for _, st := range in.File.Stages {
		for k, ins := range st.Instructions {
			if ins.Run == nil {
				continue
			}
			for n, m := range ins.Run.Mounts {
				if m.Type == "bind" && m.From == "" && slices.Contains([]string{"", ".", "/", "./"}, m.Source) {
					if s, ok := bindSource(in, in.bare(st), k, n); ok {
						list = append(list, s)
					}
				}
			}
		}
	}
	return list
}

// tmpfsFrom proposes to give all tmpfs mounts from=scratch, as one that is left is enough to have
// the context sent: that changes only what the build asks of its context. It proposes nothing unless
// some build asks for less then.
func tmpfsFrom(in Input) []Suggestion {
	if !slices.ContainsFunc(in.Builds, func(b Build) bool { return b.Convert != nil && b.Plan != nil && wholeContext(b.Plan) }) {
		return nil
	}
	var (
		edits []dockerfile.Edit
		lines []int
		first dockerfile.Lines
		where []int // stages
	)
	for _, st := range in.File.Stages {
		for _, ins := range st.Instructions {
			splices := tmpfsFlags(in.File, ins)
			if len(splices) == 0 {
				continue
			}
			if len(edits) == 0 {
				first = ins.Lines
			}
			edits, lines, where = append(edits, spliced(in.File, ins, splices...)), append(lines, ins.Lines.From), append(where, st.Index)
		}
	}
	if len(edits) == 0 {
		return nil
	}
	change, err := rewrite(in, 0, edits...)
	if err != nil {
		return nil
	}
	narrower, spared := false, int64(0)
	for i, b := range in.Builds {
		needed := reachable(in.File, b.Target)
		if b.Convert == nil || b.Plan == nil || !slices.ContainsFunc(where, func(st int) bool { return needed[st] }) {
			continue // it is the same build
		}
		before, err := b.Convert(in.File.Text)
		if err != nil {
			continue
		}
		after, err := b.Convert(change.New)
		if err != nil || !slices.EqualFunc(before.Steps, after.Steps, func(x, y dockerfile.Step) bool { return x.Definition == y.Definition }) {
			return nil
		}
		narrower = narrower || wholeContext(before) && !wholeContext(after)
		if now, ok := b.travels(before); ok && i == 0 {
			if then, ok := b.travels(after); ok {
				spared = now - then
			}
		}
	}
	if !narrower {
		return nil
	}
	s := Suggestion{
		Rule: "unnarrowed", Title: "keep the tmpfs mount from sending the whole context", Lines: first, Proof: ByConstruction,
		Evidence: "A tmpfs mount without from= counts as a use of the whole build context: every build sends all of it, although no step takes more than a part.",
		Changes:  []Change{change},
	}
	if len(lines) > 1 {
		s.Title = "keep the tmpfs mounts from sending the whole context"
		s.Evidence = fmt.Sprintf("A tmpfs mount without from=, as in lines %s, counts as a use of the whole build context: every build sends all of it, although no step takes more than a part.", numbers(lines))
	}
	s.spares(spared, Transfer, Observed)
	return []Suggestion{s}
}

// tmpfsFlags returns what gives each tmpfs mount of an instruction that has no from one.
func tmpfsFlags(f *dockerfile.File, ins dockerfile.Instruction) []splice {
	if ins.Run == nil {
		return nil
	}
	var list []splice
	for n, m := range ins.Run.Mounts {
		if m.Type != "tmpfs" || m.From != "" {
			continue
		}
		if flag, ok := mountFlag(f, ins, n); ok {
			list = append(list, splice{flag.to, flag.to, ",from=scratch"})
		}
	}
	return list
}

// wholeContext reports whether a build asks for all of its context.
func wholeContext(p *dockerfile.Plan) bool {
	return slices.ContainsFunc(p.Requests, func(r dockerfile.Request) bool {
		return r.Local == dockerfile.MainContext && len(r.FollowPaths) == 0
	})
}

// bindSource proposes to mount, in place of mount n of instruction k, only the files that the
// downloads in the RUN read. It reports false if the RUN does something else.
func bindSource(in Input, v *stageView, k, n int) (Suggestion, bool) {
	ins := v.stage.Instructions[k]
	mount := ins.Run.Mounts[n]
	if mount.Source == "" && mount.Target == "" {
		return Suggestion{}, false // the flag cannot be read
	}
	target := resolve(v.dirs[k], mount.Target, v.vars(k))
	commands, ok := v.everyCommand(k)
	if !ok || len(commands) == 0 || target[0] == '?' && mount.Target != "." {
		return Suggestion{}, false
	}
	var want []string
	for i, b := range in.Builds {
		files, ok := downloadReads(b, v, k, commands, target)
		if !ok || i > 0 && !slices.Equal(files, want) {
			return Suggestion{}, false
		}
		want = files
	}
	flag, ok := mountFlag(in.File, ins, n)
	if !ok {
		return Suggestion{}, false
	}
	var flags []string
	for _, file := range want {
		flags = append(flags, "--mount=type=bind,source="+file+",target="+path.Join(mount.Target, file))
	}
	sep := " " + string(in.File.Escape) + "\n" + continued(in.File, ins)
	change, err := rewrite(in, 0, spliced(in.File, ins, splice{flag.from, flag.to, strings.Join(flags, sep)}))
	if err != nil {
		return Suggestion{}, false
	}
	s := Suggestion{
		Rule: "unnarrowed", Title: "mount only what the download reads", Lines: ins.Lines, Proof: ByConstruction,
		Evidence: fmt.Sprintf("`%s` mounts the whole build context and reads %s: every other change of a file repeats it.", short(ins.Text), list(want, "and")),
		Changes:  []Change{change},
	}
	in.price(&s, variant{}, variant{text: change.New})
	return s, true
}

// downloadReads returns the files that the commands of instruction k read, relative to the mount
// at target. It reports false unless all are downloads of Go modules.
func downloadReads(b Build, v *stageView, k int, commands []command, target string) ([]string, bool) {
	var files []string
	r := mountReader(b, target)
	r.dir, r.env, r.given = v.dirs[k], v.written(k), v.given(b, k)
	w := newWalk(v, k)
	for _, c := range commands {
		inst, ok := w.install(c)
		if !ok || inst.tool != "go" {
			return nil, false
		}
		more, obstacle := inst.widen(r)
		if obstacle != "" {
			return nil, false
		}
		if !slices.ContainsFunc(inst.main, func(name string) bool { _, ok := r.find(name); return ok }) {
			return nil, false
		}
		for _, name := range slices.Concat(inst.main, inst.extra, more) {
			if rel, ok := r.find(name); ok && !slices.Contains(files, rel) {
				files = append(files, rel)
			}
		}
	}
	// A flag names no file with one of these as it is.
	special := slices.ContainsFunc(files, func(f string) bool { return strings.ContainsAny(f, " ,\"'$") })
	return files, len(files) > 0 && !special
}

// mountReader returns a reader of the context of a build, mounted as a whole at an image path. It has
// no working folder and no variables.
func mountReader(b Build, target string) reader {
	return reader{
		read: b.Context.Read,
		find: func(image string) (string, bool) {
			rel, ok := below(target, image)
			return rel, ok && b.Context.Exists(rel)
		},
		list: func(dir, pattern string) (list []string) {
			for f := range b.Context.Files() {
				image := path.Join(target, f)
				if rel, ok := below(dir, image); ok && matches(strings.Split(pattern, "/"), strings.Split(rel, "/")) {
					list = append(list, image)
				}
			}
			return list
		},
		takes: func(image string) bool {
			_, ok := below(target, image)
			return ok
		},
	}
}

// mountFlag returns the range of the n-th mount of a RUN in the text, counted from 0, as a splice
// that removes it.
func mountFlag(f *dockerfile.File, ins dockerfile.Instruction, n int) (splice, bool) {
	at, end := lineStart(f, ins.Lines.From), lineStart(f, ins.Lines.To+1)
	for _, flag := range ins.Flags {
		// Each is looked for behind the one before: it may begin as that does.
		next := bytes.Index(f.Text[at:end], []byte(flag))
		if next < 0 {
			return splice{}, false
		}
		at += next + len(flag)
		if !strings.HasPrefix(flag, "--mount=") {
			continue
		}
		if n--; n >= 0 {
			continue
		}
		return splice{from: at - len(flag), to: at}, !strings.ContainsAny(flag, "\"'")
	}
	return splice{}, false
}
