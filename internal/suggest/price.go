package suggest

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
)

// suggestion returns the suggestion to make the move, with what it saves, as advice if
// there is an obstacle. It returns false if the move saves too little.
func (m *move) suggestion(in Input) (Suggestion, bool) {
	b := in.Builds[0]
	s := Suggestion{
		Rule: "manifests-first", Title: "copy what " + m.tools() + " needs before the sources", Proof: Advice,
		Lines: dockerfile.Lines{From: m.view.stage.Instructions[m.moved[0]].Lines.From, To: m.view.stage.Instructions[m.last].Lines.To},
	}
	takes := func(p string) bool { return m.movedTakes(b, p) }
	manifest := func(p string) bool { rel, ok := b.inside(p); return ok && among(m.files, rel) }
	s.Evidence = m.evidence(in, in.Commits.Touching(takes), in.Commits.Touching(manifest))
	price := in.pricer()
	if m.obstacle == "" {
		m.obstacle = m.disagreement(in)
	}
	var after *dockerfile.File
	if m.obstacle == "" {
		var err error
		if s.Changes, after, err = m.changes(in); err != nil {
			m.obstacle = "the change could not be written: " + err.Error()
		}
	}
	if m.obstacle != "" {
		s.Obstacle = m.obstacle
		told := m.wish(in, &s)
		return s, m.gains(in, takes, manifest) && (!told || s.SavesSeconds >= 0.5)
	}
	s.Proof = ByConstruction
	if b.Convert == nil || b.Takers == nil {
		return s, m.gains(in, takes, manifest)
	}
	now, err := in.replay(b, variant{}, price)
	if err != nil {
		return s, false
	}
	then, err := in.replay(b, variant{text: after.Text, costs: m.costs(after, price)}, price)
	if err != nil || in.Commits.Len() > 0 && !worthwhile(now.Wall, then.Wall, price) {
		return s, false
	}
	s.Costs = price.source()
	s.SavesSeconds = now.Wall - then.Wall
	s.HitRate.Before, s.HitRate.After = now.HitRate, then.HitRate
	return s, true
}

// wish sets what the move would save without the obstacle. It reports false if that
// cannot be computed.
func (m *move) wish(in Input, s *Suggestion) bool {
	free, b := *m, in.Builds[0]
	if m.run.tail && !m.run.divides(m.view, m.last) {
		return false // it is not known where the RUN could be cut
	}
	if len(free.needs) == 0 && free.bring(b, free.last, free.images) != "" || len(free.needs) == 0 {
		return false
	}
	if b.Convert == nil || b.Takers == nil || in.Commits.Len() == 0 {
		return false
	}
	_, after, err := free.changes(in)
	if err != nil {
		return false
	}
	if _, err := b.Convert(after.Text); err != nil {
		return false
	}
	in.price(s, variant{}, variant{text: after.Text, costs: free.costs(after, in.pricer())})
	return true
}

// gains reports whether some commit changes the sources without the manifests; it does so
// too if there is no history.
func (m *move) gains(in Input, takes, manifest func(path string) bool) bool {
	if in.Commits.Len() == 0 {
		return true
	}
	paths := in.Commits.Paths()
	for _, deltas := range in.Commits.All() {
		source, listed := false, false
		for _, d := range deltas {
			source = source || takes(paths[d.Path])
			listed = listed || manifest(paths[d.Path])
		}
		if source && !listed {
			return true
		}
	}
	return false
}

// costs returns the seconds of the instructions that the move adds, by their text. A COPY
// of manifests costs at most what the COPY was seen to take that brings them today. The two
// parts of a RUN that is cut share its cost in proportion to their priors.
func (m *move) costs(after *dockerfile.File, price *pricer) map[string]float64 {
	ins := m.view.stage.Instructions
	last := ins[m.last]
	old := map[string]bool{}
	for _, in := range ins {
		old[in.Text] = true
	}
	head, tail := 0.0, 0.0
	if m.run.tail {
		head, tail = price.split(last, m.run.headEnd, m.run.tailFrom)
	}
	costs := map[string]float64{}
	cut := false
	for _, in := range after.Stages[m.view.stage.Index].Instructions {
		part := m.run.tail && !m.download && in.Run != nil && in.Text == last.Text // heredocs go by their first line
		switch {
		case old[in.Text] && !part:
		case in.Copy != nil:
			if s, ok := price.seconds[ins[m.needs[0].from].Text]; ok {
				costs[in.Text] = s
			}
		case m.download:
			price.guessed = true
			fetch := prior("go mod download") * left(last.Text, "go mod download")
			whole := price.cost(last)
			costs[in.Text], costs[last.Text] = fetch, max(whole-fetch, whole/2)
		case !cut:
			costs[in.Text], cut = head, true
		default:
			if _, both := costs[in.Text]; both { // one name for both parts: rather too much than too little
				tail = max(tail, (head+tail)/2)
			}
			costs[in.Text] = tail
		}
	}
	return costs
}

// disagreement says for which other build of the Dockerfile the edit would be wrong, or
// returns "".
func (m *move) disagreement(in Input) string {
	ends := slices.ContainsFunc(in.Builds, func(b Build) bool { return ships(in.File, b.Target, m.view.stage.Index) })
	switch {
	case m.run.leaves != "" && ends:
		return m.run.leaves
	case m.download && ends:
		return "a separate `go mod download` leaves modules in the image that the build does not need; build in a stage of its own first"
	}
	want := m.edits()
	for _, b := range in.Builds[1:] {
		if !reachable(in.File, b.Target)[m.view.stage.Index] {
			continue
		}
		other := in.findMove(m.view.stage, b)
		if other == nil || other.obstacle != "" || !slices.Equal(other.ignore, m.ignore) || !slices.Equal(other.edits(), want) {
			return "it would not do for the build " + b.Name + ", which has the same Dockerfile"
		}
	}
	return ""
}

// changes returns the changed files and the parsed new Dockerfile, which it checks with
// keeps.
func (m *move) changes(in Input) ([]Change, *dockerfile.File, error) {
	text, err := dockerfile.Apply(in.File.Text, m.edits())
	if err != nil {
		return nil, nil, err
	}
	after, err := in.parse(text)
	if err != nil {
		return nil, nil, err
	}
	if !m.keeps(in.File, after) {
		return nil, nil, errors.New("an instruction is not closed on its own last line")
	}
	list := []Change{{Path: in.Path, Old: in.File.Text, New: text}}
	if len(m.ignore) > 0 {
		list = append(list, withLines(in.Builds[0].Ignore, m.ignore))
	}
	return list, after, nil
}

// withLines adds lines at the end of an ignore file.
func withLines(ig IgnoreFile, lines []string) Change {
	old, ending := ended(string(ig.Text))
	return Change{Path: ig.Path, Old: ig.Text, New: []byte(old + strings.Join(lines, ending) + ending)}
}

// keeps reports whether the new file has exactly the instructions of the old one, apart
// from those that are cut or rewritten, and those that the move adds.
func (m *move) keeps(old, after *dockerfile.File) bool {
	count := map[string]int{}
	total := 0
	for _, st := range after.Stages {
		for _, in := range append([]dockerfile.Instruction{st.From}, st.Instructions...) {
			count[in.Text]++
			total++
		}
	}
	want := 0
	for _, list := range m.groups() {
		want += strings.Count(m.copies(list, false), "\n")
	}
	if m.run.tail || m.download {
		want++
	}
	for _, st := range old.Stages {
		for i, in := range append([]dockerfile.Instruction{st.From}, st.Instructions...) {
			want++
			if st.Index == m.view.stage.Index && (i-1 == m.last && m.run.tail || slices.Contains(m.absolute, i-1)) {
				continue
			}
			if count[in.Text]--; count[in.Text] < 0 {
				return false
			}
		}
	}
	return total == want
}

// inside returns a path of the repository relative to the build's context.
func (b Build) inside(p string) (string, bool) {
	if b.Dir == "" || b.Dir == "." {
		return p, true
	}
	return Within(b.Dir+"/", p)
}

// Within returns the path p of a history relative to a folder, and false if it has nothing to do
// with that. Both are relative to the repository; the folder is given as a prefix, "" or with a slash
// at its end. p ends in a slash if it is of a submodule: one that has the folder in it is "/".
func Within(prefix, p string) (string, bool) {
	if strings.HasSuffix(p, "/") && strings.HasPrefix(prefix, p) {
		return "/", true
	}
	return strings.CutPrefix(p, prefix)
}

// among reports whether the path rel of a history is one of files, or of a submodule that has
// one of them.
func among(files []string, rel string) bool {
	dir, folder := strings.CutSuffix(rel, "/")
	return slices.ContainsFunc(files, func(f string) bool {
		return f == rel || folder && (dir == "" || strings.HasPrefix(f, rel))
	})
}

// movedTakes reports whether a moved COPY takes a path of the repository.
func (m *move) movedTakes(b Build, p string) bool {
	rel, ok := b.inside(p)
	return ok && slices.ContainsFunc(m.moved, func(i int) bool {
		return b.Context.Takes(m.view.stage.Instructions[i].Lines.From, rel)
	})
}

// tools names the tools of the installs: "npm", "npm and pip".
func (m *move) tools() string {
	var names []string
	for _, inst := range m.installs {
		if !slices.Contains(names, inst.tool) {
			names = append(names, inst.tool)
		}
	}
	return strings.Join(names, " and ")
}

// evidence returns the sentence with the numbers of commits that change the sources and
// the manifests.
func (m *move) evidence(in Input, sources, manifests int) string {
	var copies []string
	for _, i := range m.moved {
		if takesContext(m.view.stage.Instructions[i]) {
			copies = append(copies, "`"+m.text(i)+"`")
		}
	}
	take := "takes"
	if len(copies) > 1 {
		take = "take"
	}
	files := m.named()
	copies = few(copies)
	if in.Commits.Len() == 0 {
		return fmt.Sprintf("What %s %s is more than %s; there is no history to count changes in.", list(copies, "and"), take, list(files, "and"))
	}
	return fmt.Sprintf("%d of the last %s %s what %s %s, %d %s %s.%s", sources, in.Commits.Counted(), change(sources), list(copies, "and"), take,
		manifests, change(manifests), list(files, "or"), m.later())
}

// mostNamed is how many manifests a sentence lists: a workspace has dozens.
const mostNamed = 6

// named lists the manifests for a sentence; of many, the first and the number of the rest.
func (m *move) named() []string {
	if n := len(m.files); n > mostNamed {
		reads := "reads"
		if strings.Contains(m.tools(), " ") {
			reads = "read"
		}
		return append(slices.Clone(m.files[:mostNamed/2]), fmt.Sprintf("%d other files that %s %s", n-mostNamed/2, m.tools(), reads))
	}
	return slices.Sorted(slices.Values(m.files))
}

// later warns of manifests to come. If the edit lists a manifest for each of several
// folders, a new folder needs a COPY too: without it the install fails, or skips it.
func (m *move) later() string {
	folders := map[string]string{} // by name
	for _, f := range m.files {
		name := path.Base(f)
		if path.Ext(name) == ".csproj" || path.Ext(name) == ".fsproj" {
			name = path.Ext(name)
		}
		if dir, is := folders[name]; is && dir != path.Dir(f) && m.obstacle == "" && !strings.Contains(m.firstCopies(), "*") {
			return " One that is added in a new folder needs a COPY here, too."
		}
		folders[name] = path.Dir(f)
	}
	return ""
}

func change(n int) string {
	if n == 1 {
		return "changes"
	}
	return "change"
}

// few returns instructions for a sentence; of more than three, two and the number of the rest.
func few(instructions []string) []string {
	if n := len(instructions); n > 3 {
		return []string{instructions[0], instructions[1], fmt.Sprint(n-2, " other instructions")}
	}
	return instructions
}

func list(words []string, conjunction string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " " + conjunction + " " + words[len(words)-1]
}
