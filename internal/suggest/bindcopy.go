package suggest

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/effects"
)

// mostMounts is how many sources of a COPY may become mounts, one each.
const mostMounts = 4

// bindInsteadOfCopy proposes to mount what a COPY brings for a single RUN, instead of copying
// it: a file that the RUN deletes afterwards stays in the layer of the COPY. See
// docs/rules/bind-instead-of-copy.md.
func bindInsteadOfCopy(in Input) []Suggestion {
	var list []Suggestion
	for _, st := range in.File.Stages {
		if triggers(in.File, st) || !neededByAny(in, st.Index) || !newSyntax(in.File.Syntax) {
			continue
		}
		v := in.view(st)
		for i, ins := range st.Instructions {
			if ins.Keyword == "ONBUILD" {
				break // it makes other Dockerfiles run what uses the files
			}
			if !takesContext(ins) || ins.Copy.Chown != "" || ins.Copy.Chmod != "" || ins.Copy.Link || len(ins.Copy.Exclude) > 0 {
				continue
			}
			if m, ok := in.loanOf(v, i); ok {
				if s, ok := m.suggestion(in); ok {
					list = append(list, s)
				}
			}
		}
	}
	return list
}

// A loan is a COPY of files that only one RUN needs.
type loan struct {
	view    *stageView
	from    int      // index of the COPY
	run     int      // index of the RUN; -1 while it is not found
	sources []string // context paths
	files   []string // image paths of the sources, in the same order
	cuts    [][2]int // ranges of the Dockerfile, in bytes, in which the RUN deletes the files
}

// loanOf returns the loan that instruction i, a COPY, is. It reports false if not exactly one
// RUN uses the files, or if that is not known.
func (in Input) loanOf(v *stageView, i int) (loan, bool) {
	m := loan{view: v, from: i, run: -1}
	if !m.place(in) || !m.fresh(in) {
		return m, false
	}
	for k := i + 1; k < len(v.stage.Instructions); k++ {
		ins := v.stage.Instructions[k]
		switch {
		case ins.Keyword == "ONBUILD":
			return m, false
		case ins.Copy != nil:
			if slices.ContainsFunc(m.files, func(f string) bool { return m.landed(in, k, f) }) {
				return m, false
			}
		case ins.Run != nil && len(m.cuts) == 0:
			use, ok := m.uses(in, k)
			if !ok || use && m.run >= 0 {
				return m, false
			}
			if use {
				m.run = k
				if !m.returned(k) {
					return m, false
				}
			}
		}
	}
	return m, m.run >= 0
}

// place sets sources and files. It reports false unless the COPY names a few files, or one
// folder, and it is known where they land.
func (m *loan) place(in Input) bool {
	ins := m.view.stage.Instructions[m.from]
	dest := m.view.dest(m.from)
	if strings.HasPrefix(dest, "?") && dest != baseDir && !strings.HasPrefix(dest, baseDir+"/") || len(ins.Copy.Sources) > mostMounts {
		return false
	}
	into := strings.HasSuffix(ins.Copy.Dest, "/") || ins.Copy.Dest == "." || len(ins.Copy.Sources) > 1
	for _, s := range ins.Copy.Sources {
		src := strings.TrimPrefix(path.Clean("/"+s), "/")
		if src == "" || strings.ContainsAny(s, "*?[ ,\"'\\") {
			return false
		}
		file, folder := true, true
		for _, b := range in.Builds {
			file, folder = file && b.Context.IsFile(src), folder && b.Context.Exists(src) && !b.Context.IsFile(src)
		}
		alone := file || folder && len(ins.Copy.Sources) == 1
		switch {
		case file && into:
			m.files = append(m.files, path.Join(dest, path.Base(src)))
		case alone && !m.made(dest, m.from):
			m.files = append(m.files, dest)
		default:
			return false
		}
		m.sources = append(m.sources, src)
	}
	return true
}

// made reports whether a folder exists before instruction at: most images have it, or it is
// part of a working folder above.
func (m *loan) made(dir string, at int) bool {
	if m.view.usual(rooted(dir)) {
		return true
	}
	return slices.ContainsFunc(m.view.dirs[:at+1], func(d string) bool { _, ok := below(dir, d); return ok })
}

// fresh reports whether no COPY above brings the same files, and whether the folder that they
// land in would exist without this one.
func (m *loan) fresh(in Input) bool {
	for _, f := range m.files {
		if !m.made(path.Dir(f), m.from) {
			return false
		}
		for k, ins := range m.view.stage.Instructions[:m.from] {
			if ins.Copy != nil && m.landed(in, k, f) {
				return false
			}
		}
	}
	return true
}

// landed reports whether instruction k, a COPY or ADD, may put something at an image path or
// below it.
func (m *loan) landed(in Input, k int, name string) bool {
	return slices.ContainsFunc(in.Builds, func(b Build) bool { return m.view.lands(b, k, rooted(name)) })
}

// uses reports whether instruction k, a RUN, reads or deletes one of the files. ok is false if
// that is not known, if it may write to one of them, or if it may list a folder with them.
func (m *loan) uses(in Input, k int) (use, ok bool) {
	run := viewRun(m.view, k)
	if !run.known || len(m.view.stage.Instructions[k].Run.Mounts) > 0 && contextMount(m.view, k) {
		return false, false
	}
	if slices.ContainsFunc(m.files, func(f string) bool { return mountedOver(m.view, k, f) }) {
		return false, false // what it works on there is the mount, and not what was copied
	}
	for _, b := range in.Builds {
		if _, led := through(in.waysAt(b, m.view.stage.Index), k, run.touch); led {
			return false, false // and so may use them by another name
		}
	}
	reads := slices.Clone(run.touch.reads)
	for _, inst := range run.installs {
		for _, b := range in.Builds {
			at := move{in: in, view: m.view, last: k, context: b.Context}
			if inst.discover != nil {
				inst.main = inst.discover(at.reader(b, inst))
			}
			images, obstacle := at.reads(b, k, []install{inst})
			if obstacle != "" {
				return false, false
			}
			reads = append(reads, images...)
			use = use || slices.ContainsFunc(m.files, func(f string) bool { return slices.Contains(images, f) })
		}
		if use && !inst.keeps {
			return false, false
		}
	}
	commands, ok := everyCommand(m.view.stage.Instructions[k].Run, m.view.shell[k])
	if !ok || slices.ContainsFunc(commands, command.linksHard) {
		return false, false
	}
	cuts, deleted := m.deletions(k)
	for _, f := range m.files {
		gone := len(cuts) > 0 && slices.Contains(deleted, f)
		for _, p := range reads {
			at, above := m.view.relation(p, f)
			if above {
				return false, false // it may read all that is in the folder
			}
			use = use || at && !gone
		}
		written := 0
		for _, p := range run.touch.writes {
			at, above := m.view.relation(p, f)
			if above {
				return false, false
			}
			if at {
				written++
			}
		}
		if written > occurrences(deleted, f) {
			return false, false // something else than what deletes it writes to it as well
		}
		use = use || gone
	}
	return use, true
}

// occurrences returns how often a name is in a list.
func occurrences(list []string, name string) (n int) {
	for _, one := range list {
		if one == name {
			n++
		}
	}
	return n
}

// linksHard reports whether a command may make hard links. No such link can lead from a mount to
// what is outside of it.
func (c command) linksHard() bool {
	switch {
	case c.starts("ln"):
		_, symbolic := c.links()
		return !symbolic
	case c.starts("cp"):
		return slices.ContainsFunc(c.words, func(w string) bool {
			return w == "--link" || strings.HasPrefix(w, "-") && !strings.HasPrefix(w, "--") && strings.Contains(w, "l")
		})
	}
	return false
}

// relation reports how a path or place that a command works on lies to an image path: whether
// it is the file itself or below it, or else whether it contains the file.
func (v *stageView) relation(place, file string) (at, above bool) {
	file = rooted(file)
	if places, ok := effects.PlacesOf(place); ok {
		in := func(dir string) bool { _, ok := below(dir, file); return ok }
		return false, slices.ContainsFunc(places.Roots, in) && !slices.ContainsFunc(places.Except, in)
	}
	place = folderOf(rooted(place))
	_, at = below(file, place)
	_, above = below(place, file)
	return at, above && !at
}

// returned sets cuts. It reports false if the RUN deletes some of the files but not all: those
// could not be deleted from a mount.
func (m *loan) returned(k int) bool {
	cuts, deleted := m.deletions(k)
	if len(cuts) == 0 {
		return true
	}
	m.cuts = cuts
	return !slices.ContainsFunc(m.files, func(f string) bool { return !slices.Contains(deleted, f) })
}

// deletions returns the rm commands of instruction k, a RUN, that name only files of the loan:
// their ranges in the Dockerfile, from the end of the command before, and the files.
func (m *loan) deletions(k int) (cuts [][2]int, deleted []string) {
	run := m.view.stage.Instructions[k].Run
	s := parseRun(run, m.view.shell[k])
	if !s.chain {
		return nil, nil
	}
	dir := m.view.dirs[k]
	for n, c := range s.commands {
		if c.starts("cd") && len(c.words) == 2 {
			dir = resolve(dir, c.words[1], 0)
		}
		_, names := c.args(1)
		if n == 0 || !c.starts("rm") || len(names) == 0 || c.moves() {
			continue
		}
		var gone []string
		for _, name := range names {
			gone = append(gone, path.Clean(resolve(dir, strings.TrimSuffix(name, "/"), 0)))
		}
		if slices.ContainsFunc(gone, func(g string) bool { return !slices.Contains(m.files, g) }) {
			continue
		}
		from, ok := run.Offset(s.commands[n-1].to - 1)
		to, found := run.Offset(c.to - 1)
		if !ok || !found || strings.Contains(string(m.view.file.Text[from:to]), "#") {
			continue
		}
		cuts, deleted = append(cuts, [2]int{from + 1, to + 1}), append(deleted, gone...)
	}
	return cuts, deleted
}

// seenElsewhere reports whether another stage may read one of the files, or starts from a stage
// that contains them.
func (m *loan) seenElsewhere(in Input) bool {
	n := narrowing{move: move{in: in, view: m.view}, stage: m.view.stage.Index}
	seen, ok := n.seen(in)
	return !ok || slices.ContainsFunc(m.files, func(f string) bool {
		return slices.ContainsFunc(seen, func(p string) bool { at, above := m.view.relation(p, f); return at || above })
	})
}

// suggestion returns the suggestion to mount the files. It reports false if they are used
// elsewhere, or if it is not worth it.
func (m *loan) suggestion(in Input) (Suggestion, bool) {
	copied, run := m.view.stage.Instructions[m.from], m.view.stage.Instructions[m.run]
	change, after, err := m.change(in)
	if err != nil {
		return Suggestion{}, false
	}
	var size int64
	for _, src := range m.sources {
		size += in.Builds[0].Context.Size(src)
	}
	shipped := slices.ContainsFunc(in.Builds, func(b Build) bool { return ships(in.File, b.Target, m.view.stage.Index) })
	s := Suggestion{
		Rule: "bind-instead-of-copy", Title: "mount " + list(m.sources, "and") + " for the one RUN that " + needs(len(m.sources)), Proof: ByConstruction,
		Lines: dockerfile.Lines{From: copied.Lines.From, To: run.Lines.To}, Changes: []Change{change},
	}
	what := fmt.Sprintf("Of all steps only `%s` reads what `%s` brings", short(run.Text), short(copied.Text))
	switch {
	case len(m.cuts) > 0 && shipped:
		s.Evidence = what + ", and deletes it: the layer of the " + copied.Keyword + " holds it all the same."
	case len(m.cuts) > 0:
		s.Evidence = what + ", and deletes it."
	case !in.thrownAway(m.view.stage):
		s.Proof, s.Obstacle = Advice, "the image would no longer hold "+list(m.files, "and")+": it is yours to say that the program does not read "+pronounOf(len(m.files))
		s.Evidence = what + ", which stays in the image for the rest of its life."
	case m.seenElsewhere(in):
		return Suggestion{}, false
	default:
		s.Evidence = what + ", in a stage that is thrown away."
	}
	price := in.pricer()
	in.price(&s, variant{}, variant{text: change.New, costs: map[string]float64{after: price.cost(run)}})
	if shipped {
		s.spares(size, Image, Observed)
	}
	worth := s.SavesSeconds >= 0.5 || shipped && (size >= littleToMount || len(m.cuts) > 0)
	return s, worth
}

// littleToMount is how many bytes have to stay in an image, only because its build needed them,
// for a suggestion.
const littleToMount = 100 << 10

// needs returns the end of "the one RUN that" for n things.
func needs(n int) string {
	if n == 1 {
		return "needs it"
	}
	return "needs them"
}

// pronounOf returns the pronoun for n things.
func pronounOf(n int) string {
	if n == 1 {
		return "it"
	}
	return "them"
}

// change removes the COPY and gives the RUN its mounts. It also returns the text that the RUN
// then has.
func (m *loan) change(in Input) (Change, string, error) {
	f, ins := in.File, m.view.stage.Instructions
	run := ins[m.run]
	var mounts []string
	for n, src := range m.sources {
		target := m.files[n]
		if rel, ok := below(m.view.dirs[m.run], target); ok && m.view.dirs[m.run] != "/" {
			target = rel
		}
		mounts = append(mounts, "--mount=type=bind,source="+src+",target="+target)
	}
	splices := addMounts(f, run, mounts)
	for _, c := range m.cuts {
		splices = append(splices, splice{from: c[0], to: c[1]})
	}
	edits := append(removeAll(f, []dockerfile.Instruction{ins[m.from]}), spliced(f, run, splices...))
	change, err := rewrite(in, -1, edits...)
	if err != nil {
		return Change{}, "", err
	}
	after, err := dockerfile.Parse(f.Name, change.New)
	if err != nil {
		return Change{}, "", err
	}
	return change, after.Stages[m.view.stage.Index].Instructions[m.run-1].Text, nil
}
