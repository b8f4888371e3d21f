package suggest

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
)

// suggestion prices the move, writes it, and holds it against every build of
// the Dockerfile. It reports false where the move saves nothing.
func (m *move) suggestion(in Input) (Suggestion, bool) {
	b := in.Builds[0]
	s := Suggestion{
		Rule: "manifests-first", Title: "copy what " + m.tools() + " needs before the sources", Proof: Advice,
		Lines: dockerfile.Lines{From: m.view.stage.Instructions[m.moved[0]].Lines.From, To: m.view.stage.Instructions[m.last].Lines.To},
	}
	takes := func(p string) bool { return m.movedTakes(b, p) }
	manifest := func(p string) bool { rel, ok := b.inside(p); return ok && slices.Contains(m.files, rel) }
	s.Evidence = m.evidence(in, touching(in.Commits, takes), touching(in.Commits, manifest))
	price := &pricer{seconds: in.Seconds}
	before, after := m.replay(in, b, price)
	s.Costs = price.source()
	if len(in.Commits) > 0 && before.Seconds <= after.Seconds {
		return s, false
	}
	if m.obstacle == "" {
		m.obstacle = m.disagreement(in)
	}
	if m.obstacle == "" {
		changes, err := m.changes(in)
		if err != nil {
			m.obstacle = "the change could not be written: " + err.Error()
		}
		s.Changes = changes
	}
	if m.obstacle != "" {
		s.Obstacle = m.obstacle
		return s, true
	}
	s.Proof = ByConstruction
	s.SavesSeconds = before.Seconds - after.Seconds
	s.HitRate.Before, s.HitRate.After = before.HitRate, after.HitRate
	return s, true
}

// disagreement says which other build of the Dockerfile the edit is not known
// to be right for.
func (m *move) disagreement(in Input) string {
	if m.download && slices.ContainsFunc(in.Builds, func(b Build) bool { return ships(in.File, b.Target, m.view.stage.Index) }) {
		return "a separate `go mod download` leaves modules in the image that the build does not need; build in a stage of its own first"
	}
	want := m.edits()
	for _, b := range in.Builds[1:] {
		if !reachable(in.File, b.Target)[m.view.stage.Index] {
			continue
		}
		other := findMove(in.File, m.view.stage, b)
		if other == nil || other.obstacle != "" || other.ignore != m.ignore || !slices.Equal(other.edits(), want) {
			return "it would not do for the build " + b.Name + ", which has the same Dockerfile"
		}
	}
	return ""
}

// changes writes the files anew and makes sure that the Dockerfile still parses.
func (m *move) changes(in Input) ([]Change, error) {
	text, err := dockerfile.Apply(in.File.Text, m.edits())
	if err != nil {
		return nil, err
	}
	after, err := dockerfile.Parse(in.File.Name, text)
	if err != nil {
		return nil, err
	}
	if !m.keeps(in.File, after) {
		return nil, errors.New("an instruction is not closed on its own last line")
	}
	list := []Change{{Path: in.Path, Old: in.File.Text, New: text}}
	if m.ignore != "" {
		ig := in.Builds[0].Ignore
		old, ending := string(ig.Text), "\n"
		if strings.Contains(old, "\r\n") {
			ending = "\r\n"
		}
		if old != "" && !strings.HasSuffix(old, "\n") {
			old += ending
		}
		list = append(list, Change{Path: ig.Path, Old: ig.Text, New: []byte(old + m.ignore + ending)})
	}
	return list, nil
}

// keeps reports whether the new file has every instruction of the old one, but
// for one that is cut, and those that the move adds; no more and no less.
func (m *move) keeps(old, after *dockerfile.File) bool {
	count := map[string]int{}
	total := 0
	for _, st := range after.Stages {
		for _, in := range append([]dockerfile.Instruction{st.From}, st.Instructions...) {
			count[in.Text]++
			total++
		}
	}
	want := len(m.needs)
	if m.run.tail || m.download {
		want++
	}
	for _, st := range old.Stages {
		for i, in := range append([]dockerfile.Instruction{st.From}, st.Instructions...) {
			want++
			if st.Index == m.view.stage.Index && i-1 == m.last && m.run.tail {
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
	return strings.CutPrefix(p, b.Dir+"/")
}

// movedTakes reports whether a moved COPY takes a path of the repository.
func (m *move) movedTakes(b Build, p string) bool {
	rel, ok := b.inside(p)
	return ok && slices.ContainsFunc(m.moved, func(i int) bool {
		return b.Context.Takes(m.view.stage.Instructions[i].Lines.From, rel)
	})
}

// tools names what the installs are: "npm", "npm and pip".
func (m *move) tools() string {
	var names []string
	for _, inst := range m.installs {
		if !slices.Contains(names, inst.tool) {
			names = append(names, inst.tool)
		}
	}
	return strings.Join(names, " and ")
}

// evidence is the sentence with the numbers.
func (m *move) evidence(in Input, sources, manifests int) string {
	var copies []string
	for _, i := range m.moved {
		copies = append(copies, "`"+m.text(i)+"`")
	}
	take := "takes"
	if len(copies) > 1 {
		take = "take"
	}
	files := slices.Clone(m.files)
	slices.Sort(files)
	if len(in.Commits) == 0 {
		return fmt.Sprintf("What %s %s is more than %s; there is no history to count changes in.", list(copies, "and"), take, list(files, "and"))
	}
	return fmt.Sprintf("%d of the last %d commits %s what %s %s, %d %s %s.", sources, len(in.Commits), change(sources), list(copies, "and"), take,
		manifests, change(manifests), list(files, "or"))
}

func change(n int) string {
	if n == 1 {
		return "changes"
	}
	return "change"
}

func list(words []string, conjunction string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " " + conjunction + " " + words[len(words)-1]
}

// replay compares the stage as it is with the stage after the move.
func (m *move) replay(in Input, b Build, price *pricer) (before, after Result) {
	r := NewReplay(len(in.Commits))
	var old, moved, proposed []int
	for _, base := range m.bases() {
		for _, ins := range base.Instructions {
			if step, ok := m.add(r, in, b, ins, price); ok {
				old, proposed = append(old, step), append(proposed, step)
			}
		}
	}
	for i, ins := range m.view.stage.Instructions {
		for _, n := range m.needs {
			if n.install == i {
				// Priced as the COPY that brings them today, which is no less.
				takes := func(p string) bool { rel, ok := b.inside(p); return ok && slices.Contains(n.files, rel) }
				proposed = append(proposed, r.Add(contentStates(in.Commits, takes), price.cost(m.view.stage.Instructions[n.from])))
			}
		}
		if i == m.last && m.download {
			proposed = append(append(proposed, r.Add(nil, prior("go mod download"))), moved...)
		}
		step, ok := m.add(r, in, b, ins, price)
		switch {
		case !ok:
		case slices.Contains(m.moved, i):
			old, moved = append(old, step), append(moved, step)
		case i == m.last && m.run.tail:
			head, tail := price.split(ins, ins.Run.Script[:m.run.headEnd], ins.Run.Script[m.run.tailFrom:])
			old = append(old, step)
			proposed = append(append(append(proposed, r.Add(nil, head)), moved...), r.Add(nil, tail))
		case i == m.last && m.download:
			price.guessed = true
			build := r.costs[step] - prior("go mod download")
			old, proposed = append(old, step), append(proposed, r.Add(nil, max(build, r.costs[step]/2)))
		case i == m.last:
			old, proposed = append(old, step), append(append(proposed, step), moved...)
		default:
			old, proposed = append(old, step), append(proposed, step)
		}
	}
	return r.Order(old), r.Order(proposed)
}

// bases returns the stages that the stage starts from, lowest first.
func (m *move) bases() []dockerfile.Stage {
	var chain []dockerfile.Stage
	for at := m.view.stage.BaseStage; at >= 0; at = m.view.file.Stages[at].BaseStage {
		chain = append([]dockerfile.Stage{m.view.file.Stages[at]}, chain...)
	}
	return chain
}

// add adds an instruction to a replay, if BuildKit executes it.
func (m *move) add(r *Replay, in Input, b Build, ins dockerfile.Instruction, price *pricer) (int, bool) {
	if ins.Run == nil && ins.Copy == nil && ins.Keyword != "WORKDIR" {
		return 0, false
	}
	lines := m.inputs(ins, map[int]bool{})
	if len(lines) == 0 {
		return r.Add(nil, price.cost(ins)), true
	}
	states := contentStates(in.Commits, func(p string) bool {
		rel, ok := b.inside(p)
		return ok && slices.ContainsFunc(lines, func(line int) bool { return b.Context.Takes(line, rel) })
	})
	return r.Add(states, price.cost(ins)), true
}

// inputs returns the lines of the instructions whose files an instruction
// depends on: its own, or those of the stages that it copies from.
func (m *move) inputs(ins dockerfile.Instruction, seen map[int]bool) []int {
	var lines []int
	var stage func(i int)
	stage = func(i int) {
		if i < 0 || seen[i] {
			return
		}
		seen[i] = true
		stage(m.view.file.Stages[i].BaseStage)
		for _, other := range m.view.file.Stages[i].Instructions {
			lines = append(lines, m.inputs(other, seen)...)
		}
	}
	if ins.Copy != nil {
		if ins.Copy.From != "" {
			stage(m.view.file.StageOf(ins.Copy.From))
		} else {
			lines = append(lines, ins.Lines.From)
		}
	}
	if ins.Run != nil {
		for _, mount := range ins.Run.Mounts {
			if mount.From != "" {
				stage(m.view.file.StageOf(mount.From))
			} else if mount.Type == "bind" {
				lines = append(lines, ins.Lines.From)
			}
		}
	}
	return lines
}
