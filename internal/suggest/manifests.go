package suggest

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
)

// A move is the change that manifests-first makes to a stage: it moves the COPYs of the
// sources below the installs, which do not need them, and copies the manifests above.
type move struct {
	in       Input
	view     *stageView
	context  Context
	moved    []int     // COPYs that move down
	last     int       // the RUN that they move below
	run      runView   // of last
	past     []int     // other RUNs with installs that they pass
	installs []install // of last and past
	files    []string  // manifests, as context paths
	images   []string  // manifests, as image paths
	known    []string  // manifests of installs further up, as context paths
	needs    []need    // manifests that have to be copied, by install
	inPlace  bool      // the manifests take the place of the first moved COPY
	absolute []int     // of moved: those that pass a WORKDIR, and so get an absolute destination
	download bool      // a new `go mod download` goes above last, and moved COPYs between the two
	ignore   []string  // new lines for the ignore file
	obstacle string    // why the move is only advice; "" if it can be made

	ways []way  // where there may be links in the stage; nil until look fills it
	link string // a symbolic link on the way to what an install looks for; "" if none was met
}

// A need is a set of manifests in one image folder that has to be copied above an install.
type need struct {
	install int      // index of its RUN
	from    int      // the moved COPY that brings them today
	dir     string   // image folder
	files   []string // context paths
}

// manifestsFirst proposes to copy what an install reads before the sources, so
// that a change of the sources no longer repeats the install. See
// docs/rules/manifests-first.md.
func manifestsFirst(in Input) []Suggestion {
	if in.shared != nil {
		return in.shared.manifests()
	}
	return findMoves(in)
}

// findMoves computes the suggestions of manifestsFirst.
func findMoves(in Input) []Suggestion {
	var list []Suggestion
	needed := reachable(in.File, in.Builds[0].Target)
	for i, st := range in.File.Stages {
		if !needed[i] || triggers(in.File, st) {
			continue
		}
		if _, narrower := in.narrowed(st); narrower && in.asks("narrow-copy") {
			continue // that rule leaves no sources to move
		}
		if m := in.findMove(st, in.Builds[0]); m != nil {
			if s, ok := m.suggestion(in); ok {
				list = append(list, s)
			}
		}
	}
	return append(list, findPushdowns(in)...)
}

// triggers reports whether a stage starts with ONBUILD instructions of its base stage: its
// own text does not tell what these copy.
func triggers(f *dockerfile.File, st dockerfile.Stage) bool {
	return st.BaseStage >= 0 && slices.ContainsFunc(f.Stages[st.BaseStage].Instructions, func(in dockerfile.Instruction) bool {
		return in.Keyword == "ONBUILD"
	})
}

// findMove returns the move for a stage in a build, or nil if the rule does not apply.
func (in Input) findMove(st dockerfile.Stage, b Build) *move {
	v := in.viewIn(b, st)
	downloaded := map[string]bool{} // folders whose Go modules an earlier step downloads
	fetched := map[string]bool{}    // folders whose Python packages an earlier step installs, so that only the project is left
	made := map[string]bool{}       // installs so far: one that comes again behind an unknown command does so on purpose
	var known []string              // manifests of the installs so far
	var behind *move                // the first with an unknown command before its install
	for k, ins := range st.Instructions {
		if ins.Run == nil {
			continue
		}
		view := viewRun(v, k)
		if len(view.installs) == 0 {
			if build, ok := goBuild(v, k); ok && !downloaded[build.dir] {
				view = runView{installs: []install{build}}
			}
		}
		if len(view.installs) == 0 {
			view = viewBehind(v, k)
			view.installs = slices.DeleteFunc(view.installs, func(i install) bool { return made[i.tool+" "+strings.Join(i.main, " ")] })
		}
		projects := len(view.installs) > 0
		for _, inst := range view.installs {
			made[inst.tool+" "+strings.Join(inst.main, " ")] = true
			if inst.tool == "go" {
				downloaded[inst.dir] = true
			}
			project := slices.Contains(inst.main, path.Join(inst.dir, "pyproject.toml"))
			projects = projects && project && fetched[inst.dir]
			fetched[inst.dir] = fetched[inst.dir] || project
		}
		m := &move{in: in, view: v, last: k, run: view, known: known}
		if len(view.installs) > 0 && !projects && m.plan(b) {
			if !view.behind {
				return m
			}
			if behind == nil {
				behind = m
			}
		}
		known = append(known, m.files...)
	}
	return behind
}

// plan works the move out for the installs of m.run. It reports false if there is nothing to
// suggest.
func (m *move) plan(b Build) bool {
	m.context = b.Context
	for i, inst := range m.run.installs {
		r := m.reader(b, inst)
		if inst.discover != nil {
			inst.main = inst.discover(r)
			m.run.installs[i].main = inst.main
		}
		if !slices.ContainsFunc(inst.main, func(name string) bool { return r.file(name) != nil }) {
			return false // its manifests come from elsewhere
		}
		if inst.insert && !goNeeds(r) {
			return false
		}
	}
	files, obstacle := m.reads(b, m.last, m.run.installs)
	m.images = files
	if !m.choose(b, files) {
		return false
	}
	m.installs = m.run.installs
	m.download = m.run.installs[0].insert
	obstacles := []string{obstacle, m.run.obstacle}
	for _, inst := range m.run.installs {
		if inst.tool == "go" && !inst.insert {
			obstacles = append(obstacles, goRewrites(m.reader(b, inst)))
		}
	}
	if contextMount(m.view, m.last) {
		obstacles = append(obstacles, "the RUN mounts files of the build context itself")
	}
	obstacles = append(obstacles, m.between(b)...)
	// Other commands of the RUN may read the manifests, which stay above it.
	obstacles = append(obstacles, m.clashes(b, m.last, without(m.run.touch, files)), m.bring(b, m.last, files), m.collisions(b))
	var own touch
	for _, inst := range m.run.installs {
		more, _ := m.view.touches(m.last, inst.dir, nil, inst.reads, nil)
		own.add(more)
	}
	m.obstacle = told(append(obstacles, m.clashes(b, m.last, without(own, files))))
	m.extend(b)
	return true
}

// without returns t without the reading of some files.
func without(t touch, files []string) touch {
	t.reads = slices.DeleteFunc(slices.Clone(t.reads), func(p string) bool { return slices.Contains(files, p) })
	return t
}

// reader returns a reader of the files that inst, an install of m.last, sees in a build.
func (m *move) reader(b Build, inst install) reader {
	return reader{
		dir: inst.dir, read: b.Context.Read,
		list: func(dir, pattern string) []string {
			m.trace(b, path.Join(dir, pattern))
			return m.matching(b, dir, pattern)
		},
		find: func(image string) (string, bool) {
			m.trace(b, image)
			p, _, ok := m.provider(b, m.last, image)
			return p, ok
		},
		takes: func(image string) bool {
			for i := range m.last {
				if m.view.brings(b, i, image) {
					return true
				}
			}
			return false
		},
		env: m.view.written(m.last), given: m.view.given(b, m.last),
	}
}

// trace sets m.link if a symbolic link is on the way to what an install looks for: an image path,
// which may be a pattern. A COPY of the file behind the link takes what the link leads to, or brings
// a link that may lead to another file in the image, or to none.
func (m *move) trace(b Build, image string) {
	if len(b.Context.Links()) == 0 || m.link != "" {
		return
	}
	for i := range m.last {
		in := m.view.stage.Instructions[i]
		if !takesContext(in) {
			continue
		}
		for _, source := range m.view.sources(b.Context, i, image) {
			for _, link := range linksTo(b.Context, source) {
				if b.Context.Takes(in.Lines.From, link) {
					m.link = link
				}
			}
		}
	}
}

// linksTo returns the symbolic links of the context that a context path goes through, or ends at.
// The path may be a pattern.
func linksTo(c Context, name string) (list []string) {
	for ; name != "." && name != "/"; name = path.Dir(name) {
		for _, link := range c.Links() {
			if match, err := path.Match(name, link); err == nil && match {
				list = append(list, link)
			}
		}
	}
	return list
}

// matching returns the image paths of files, copied above instruction m.last, that match a
// pattern below an image folder.
func (m *move) matching(b Build, dir, pattern string) []string {
	var list []string
	parts := strings.Split(pattern, "/")
	for i, in := range m.view.stage.Instructions[:m.last] {
		if !takesContext(in) {
			continue
		}
		for p, image := range m.view.puts(b.Context, i, parts[len(parts)-1]) {
			rel, ok := below(dir, image)
			if !ok || slices.Contains(list, image) || !matches(parts, strings.Split(rel, "/")) {
				continue
			}
			if found, _, ok := m.provider(b, m.last, image); ok && found == p {
				list = append(list, image)
			}
		}
	}
	slices.Sort(list)
	return list
}

// provider returns the context path that an image path comes from, and the COPY that brings
// it: the last above instruction k. It reports false if no COPY does.
func (m *move) provider(b Build, k int, image string) (string, int, bool) {
	for i := k - 1; i >= 0; i-- {
		in := m.view.stage.Instructions[i]
		if !takesContext(in) {
			continue
		}
		for _, p := range m.view.sources(b.Context, i, image) {
			taken := b.Context.Takes(in.Lines.From, p) || b.Context.Takes(in.Lines.From, p+"/x")
			if taken && b.Context.Exists(p) {
				return p, i, true
			}
		}
	}
	return "", 0, false
}

// reads returns the files of the context that installs of instruction k read, as image
// paths, and why these may not be all.
func (m *move) reads(b Build, k int, installs []install) (files []string, obstacle string) {
	for _, inst := range installs {
		wide := m.widen(b, inst)
		more, why := wide.more, wide.obstacle
		if obstacle == "" {
			obstacle = why
		}
		for _, name := range slices.Concat(inst.main, inst.extra, more) {
			m.trace(b, name)
			p, _, ok := m.provider(b, k, name)
			if !ok || slices.Contains(files, name) {
				continue
			}
			if files = append(files, name); strings.ContainsAny(p, "*?[]\\$") && obstacle == "" {
				obstacle = p + " would be a pattern in a COPY"
			}
		}
	}
	if obstacle == "" && m.link != "" {
		obstacle = m.link + " is a symbolic link, and what it leads to may be another file in the image"
	}
	return files, obstacle
}

// mostTold is how many obstacles are told at once: they show that there is work to do.
const mostTold = 3

// told joins obstacles, without empty and repeated ones, into a sentence.
func told(obstacles []string) string {
	var list []string
	for _, o := range obstacles {
		if o != "" && !slices.Contains(list, o) && len(list) < mostTold {
			list = append(list, o)
		}
	}
	return strings.Join(list, "; also, ")
}

// between returns the obstacles to moving the COPYs down to the install.
func (m *move) between(b Build) (list []string) {
	for t := m.moved[0] + 1; t < m.last; t++ {
		if slices.Contains(m.moved, t) {
			continue
		}
		if why := m.passable(b, t); why != "" {
			list = append(list, why)
		}
	}
	return list
}

// passable says why the moved COPYs above instruction t cannot go below it, or returns "".
func (m *move) passable(b Build, t int) string {
	in := m.view.stage.Instructions[t]
	for _, i := range m.moved {
		if i > t {
			break
		}
		c := m.view.stage.Instructions[i].Copy
		switch in.Keyword {
		case "ENV", "ARG":
			if strings.Contains(m.view.file.Source(m.view.stage.Instructions[i].Lines), "$") {
				return fmt.Sprintf("%s on line %s may change a variable of `%s`", in.Keyword, in.Lines, m.text(i))
			}
		case "WORKDIR":
			if !path.IsAbs(c.Dest) {
				if _, ok := m.inFull(i); !ok {
					return fmt.Sprintf("WORKDIR on line %s changes what `%s` is relative to", in.Lines, m.text(i))
				}
				if !slices.Contains(m.absolute, i) {
					m.absolute = append(m.absolute, i)
				}
			}
			if p := m.view.starts(b, i, t); p != "" {
				return fmt.Sprintf("WORKDIR on line %s is for a user of %s, where `%s` writes", in.Lines, p, m.text(i))
			}
			m.inPlace = true
		case "COPY", "ADD":
			if overlap(m.view.dest(t), m.view.dest(i)) && !m.agrees(b, t, i) {
				return fmt.Sprintf("`%s` on line %s writes where `%s` does", m.text(t), in.Lines, m.text(i))
			}
			if (in.Copy.Chown != c.Chown || in.Copy.Chmod != c.Chmod) && !m.view.foldersAgree(i, i, []string{m.view.dest(t)}) {
				return fmt.Sprintf("`%s` on line %s has another owner or mode, and would make the folders that `%s` makes", m.text(t), in.Lines, m.text(i))
			}
		}
	}
	if in.Run == nil || slices.Contains(m.past, t) {
		return ""
	}
	view := viewRun(m.view, t)
	if !view.known || len(view.installs) > 0 {
		return fmt.Sprintf("`%s` on line %s stands between, and may read what is copied above it", m.text(t), in.Lines)
	}
	why := m.clashes(b, t, view.touch)
	if why != "" && m.steady(b, t) && m.clashes(b, t, without(view.touch, m.images)) == "" {
		m.inPlace = true // it reads manifests, and so has to find them
		return ""
	}
	return why
}

// steady reports whether instruction t finds the manifests as the install does: each that a moved COPY
// brings above both, and none that it brings between them, or changes there.
func (m *move) steady(b Build, t int) bool {
	return !slices.ContainsFunc(m.images, func(image string) bool {
		_, above, found := m.provider(b, t, image)
		_, last, _ := m.provider(b, m.last, image)
		return (!found || above != last) && (found || slices.Contains(m.moved, last))
	})
}

// clashes says which moved COPY above instruction t writes to a path that t touches, or
// returns "".
func (m *move) clashes(b Build, t int, touched touch) string {
	if why := m.led(b, t, touched); why != "" {
		return why
	}
	for _, i := range m.moved {
		if i > t {
			break
		}
		if p := m.view.clash(b, i, append(slices.Clone(touched.reads), touched.writes...)); p != "" {
			return fmt.Sprintf("`%s` on line %s works on %s, where `%s` writes", m.text(t), m.view.stage.Instructions[t].Lines, p, m.text(i))
		}
		if p := m.view.starts(b, i, t); p != "" {
			if slices.Contains(m.view.leading(b, t), p) {
				p = "what a build gives" // which is not to be shown
			}
			return fmt.Sprintf("`%s` on line %s starts with %s, where `%s` writes", m.text(t), m.view.stage.Instructions[t].Lines, p, m.text(i))
		}
	}
	return ""
}

// agrees reports whether the order of COPYs t and i does not matter because t brings only
// manifests, and i brings the same files to the same places.
func (m *move) agrees(b Build, t, i int) bool {
	in := m.view.stage.Instructions[t]
	manifests := append(slices.Clone(m.known), m.files...)
	if !takesContext(in) || !onlyManifests(b.Context, in.Copy, manifests) {
		return false
	}
	c := m.view.stage.Instructions[i].Copy
	if !takesContext(m.view.stage.Instructions[i]) {
		return false
	}
	for _, f := range manifests {
		for p, image := range m.view.puts(b.Context, t, path.Base(f)) {
			if p != f {
				continue
			}
			for _, p := range m.view.sources(b.Context, i, image) {
				if b.Context.Exists(p) && (p != f || in.Copy.Chown != c.Chown || in.Copy.Chmod != c.Chmod) {
					return false
				}
			}
		}
	}
	return true
}

// bring adds to m.needs those of the files, image paths, that a moved COPY brings: they need
// a COPY of their own above instruction k, unless another one above brings them as well. It
// returns an obstacle or "". A COPY of files creates a missing destination just as a COPY of a
// folder does: with the default mode or that of --chmod, and the owner of --chown (fsutil:
// copy.Copy, prepareTargetDir).
func (m *move) bring(b Build, k int, files []string) string {
	for _, name := range files {
		p, from, ok := m.provider(b, k, name)
		if !ok || !slices.Contains(m.moved, from) {
			continue
		}
		dir := path.Dir(name)
		if path.Base(p) != path.Base(name) {
			return fmt.Sprintf("`%s` renames %s", m.text(from), p)
		}
		if m.broughtAbove(b, from, p, name) {
			continue
		}
		i := slices.IndexFunc(m.needs, func(n need) bool { return n.dir == dir && n.from == from })
		if i >= 0 && slices.Contains(m.needs[i].files, p) {
			continue
		}
		if i < 0 || m.needs[i].install != k {
			m.needs = append(m.needs, need{install: k, from: from, dir: dir})
			i = len(m.needs) - 1
		}
		m.needs[i].files = append(m.needs[i].files, p)
	}
	return ""
}

// text returns the text of an instruction, shortened for a message.
func (m *move) text(i int) string {
	t := m.view.stage.Instructions[i].Text
	if len(t) > 60 {
		return t[:57] + "..."
	}
	return t
}
