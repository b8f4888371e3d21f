package suggest

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/effects"
)

// mostMounts is how many files a RUN is given one by one.
const mostMounts = 4

// bindInsteadOfCopy proposes to mount what a COPY brings for one RUN alone: a file
// that is deleted afterwards stays in the layer of the COPY for good. See
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
				break // what it brings and runs is another Dockerfile's
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

// A loan is a COPY whose files one RUN needs, and nobody else.
type loan struct {
	view    *stageView
	from    int      // the COPY
	run     int      // the RUN
	sources []string // context paths
	files   []string // image paths that they land at, in the same order
	// cuts are the places of the RUN's script that delete the files again.
	cuts [][2]int
}

// loanOf finds who needs what a COPY brings; false where that is not one RUN, or
// cannot be told.
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
				if ok := m.returned(k); !ok {
					return m, false
				}
			}
		}
	}
	return m, m.run >= 0
}

// place fills in where the files come from and land; false for anything but a few
// files, or one folder, by name.
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
		switch {
		case file && into:
			m.files = append(m.files, path.Join(dest, path.Base(src)))
		case file && !m.made(dest, m.from), folder && len(ins.Copy.Sources) == 1 && !m.made(dest, m.from):
			m.files = append(m.files, dest)
		default:
			return false
		}
		m.sources = append(m.sources, src)
	}
	return true
}

// made reports whether a folder is there before instruction at, in most images or
// by what stands above.
func (m *loan) made(dir string, at int) bool {
	if usual(rooted(dir)) {
		return true
	}
	return slices.ContainsFunc(m.view.dirs[:at+1], func(d string) bool { _, ok := below(dir, d); return ok })
}

// fresh reports whether nothing above brings the same files, and whether the folder
// that they land in would be there without the COPY.
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

// landed reports whether instruction k, a COPY or ADD, may put something at or
// below an image path.
func (m *loan) landed(in Input, k int, name string) bool {
	return slices.ContainsFunc(in.Builds, func(b Build) bool { return m.view.lands(b, k, rooted(name)) })
}

// uses reports whether RUN k reads one of the files; false as well where it may
// write to them, or cannot be told.
func (m *loan) uses(in Input, k int) (use, ok bool) {
	run := viewRun(m.view, k)
	if !run.known || len(m.view.stage.Instructions[k].Run.Mounts) > 0 && contextMount(m.view, k) {
		return false, false
	}
	reads := slices.Clone(run.touch.reads)
	for _, inst := range run.installs {
		for _, b := range in.Builds {
			at := move{view: m.view, last: k, context: b.Context}
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
	cuts, deleted := m.deletions(k)
	for _, f := range m.files {
		gone := len(cuts) > 0 && slices.Contains(deleted, f)
		for _, p := range reads {
			at, above := m.view.relation(p, f)
			if above {
				return false, false // it may look at all that is there
			}
			use = use || at && !gone
		}
		if slices.ContainsFunc(run.touch.writes, func(p string) bool { at, above := m.view.relation(p, f); return above || at && !gone }) {
			return false, false
		}
		use = use || gone
	}
	return use, true
}

// relation reports whether a place that a command works on is the file or lies
// below it, or whether it is one that holds the file.
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

// returned notes where the RUN deletes the files again; false where it does so in
// a way that a mount would be in the way of.
func (m *loan) returned(k int) bool {
	cuts, deleted := m.deletions(k)
	if len(cuts) == 0 {
		return true
	}
	m.cuts = cuts
	return !slices.ContainsFunc(m.files, func(f string) bool { return !slices.Contains(deleted, f) })
}

// deletions returns the `rm`s of RUN k that name nothing but the files, as places
// in its script from the end of the command before, and what they name.
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

// seenElsewhere reports whether another stage may look at one of the files, or
// starts from a stage that still has them.
func (m *loan) seenElsewhere(in Input) bool {
	n := narrowing{move: move{view: m.view}, stage: m.view.stage.Index}
	seen, ok := n.seen(in)
	return !ok || slices.ContainsFunc(m.files, func(f string) bool {
		return slices.ContainsFunc(seen, func(p string) bool { at, above := m.view.relation(p, f); return at || above })
	})
}

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
	price := &pricer{seconds: in.Seconds}
	in.price(&s, variant{}, variant{text: change.New, costs: map[string]float64{after: price.cost(run)}})
	if shipped {
		s.spares(size, Image, Observed)
	}
	left := slices.ContainsFunc(m.files, func(f string) bool { return strings.HasPrefix(f, "/tmp/") || strings.HasPrefix(f, "/var/tmp/") })
	worth := s.SavesSeconds >= 0.5 || shipped && (size >= littleToMount || len(m.cuts) > 0 || left)
	return s, worth
}

// littleToMount is how many bytes an image may carry without a word because a
// build needed them.
const littleToMount = 100 << 10

func needs(n int) string {
	if n == 1 {
		return "needs it"
	}
	return "needs them"
}

func pronounOf(n int) string {
	if n == 1 {
		return "it"
	}
	return "them"
}

// change takes the COPY out and gives the RUN its mounts; it returns the RUN as it
// will be named as well.
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
