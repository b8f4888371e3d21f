package buildkit

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
)

// number returns the labels of steps. They are those of the vertices' names but
// where a name is another build's: while two builds hold the same operation, it
// goes by the name that the first gave it, number and stage included (BuildKit:
// solver/jobs.go, loadUnlocked). The places in the Dockerfile tell which ones
// these are.
func number(found []located) map[string]label {
	labels := make(map[string]label, len(found))
	sections := map[sectionID][]located{}
	made := map[sourceLine]bool{}
	for _, f := range found {
		labels[f.digest] = f.label
		for _, at := range f.places {
			made[at] = true
		}
		if f.line > 0 {
			id := f.section()
			sections[id] = append(sections[id], f)
		}
	}
	for _, id := range slices.SortedFunc(maps.Keys(sections), sectionID.compare) {
		steps := sections[id]
		s := newSection(steps[0].file, id.from, func(line int) bool { return made[sourceLine{id.platform, line}] })
		if slices.ContainsFunc(steps, func(f located) bool { return f.label.onBuild }) {
			continue // a base image's triggers count, and the file does not show them
		}
		model, foreign := s.model(steps)
		if !foreign {
			continue
		}
		for _, f := range steps {
			if !s.fits(f) {
				labels[f.digest] = s.label(f, model)
			}
		}
	}
	return labels
}

// A sectionID names a stage as built for one platform.
type sectionID struct {
	platform int
	from     int // line of its FROM
}

func (id sectionID) compare(other sectionID) int {
	if id.platform != other.platform {
		return id.platform - other.platform
	}
	return id.from - other.from
}

func (f located) section() sectionID {
	from := 0
	for line, text := range f.file {
		if line <= f.line && line > from && strings.HasPrefix(text, "FROM ") {
			from = line
		}
	}
	return sectionID{f.platform, from}
}

// A section is a stage as the Dockerfile has it.
type section struct {
	name   string // as labels have it
	alone  bool   // the only stage of the file: labels may leave its name out
	lines  []int  // of the steps that have a number
	count  int    // of the steps, as totals have it
	offset []int  // how many steps may come before: FROM is one if it names an image
}

// newSection reads the stage whose FROM is on the line from. A WORKDIR that leads to
// the root makes nothing: it counts, and has no number (BuildKit:
// dockerfile2llb.dispatchWorkdir). made reports whether a vertex comes from a line.
func newSection(file map[int]string, from int, made func(line int) bool) section {
	s := section{name: stageAt(file, from), alone: true}
	stages := map[string]bool{"scratch": true}
	inside := false
	for _, line := range slices.Sorted(maps.Keys(file)) {
		keyword, rest, _ := strings.Cut(file[line], " ")
		switch keyword {
		case "FROM":
			inside = line == from
			if inside {
				s.offset = offsets(rest, stages)
			}
			s.alone = s.alone && inside
			stages[stageAt(file, line)] = true
		case "RUN", "COPY", "ADD", "WORKDIR":
			if !inside {
				continue
			}
			s.count++
			if keyword != "WORKDIR" || made(line) {
				s.lines = append(s.lines, line)
			}
		}
	}
	return s
}

// offsets returns what FROM may count as, given its words and the stages above:
// what a variable stands for the file does not say.
func offsets(words string, stages map[string]bool) []int {
	for word := range strings.FieldsSeq(words) {
		switch {
		case strings.HasPrefix(word, "--"):
		case strings.Contains(word, "$"):
			return []int{1, 0}
		case stages[strings.ToLower(word)]:
			return []int{0}
		default:
			return []int{1}
		}
	}
	return []int{1}
}

// fits reports whether the label of a step can be this stage's own.
func (s section) fits(f located) bool {
	position := slices.Index(s.lines, f.line) + 1
	if f.label.stage != s.name && !(s.alone && f.label.stage == "") {
		return false
	}
	return slices.ContainsFunc(s.offset, func(offset int) bool {
		return f.label.index == position+offset && f.label.total == s.count+offset
	})
}

// model returns a label after which those of the stage are formed, and whether
// there is one that is not the stage's own. Where none fits they may all be its
// own: a base image's triggers that run nothing count in the total alone.
func (s section) model(steps []located) (model label, foreign bool) {
	own := slices.IndexFunc(steps, s.fits)
	if own >= 0 {
		return steps[own].label, slices.ContainsFunc(steps, func(f located) bool { return !s.fits(f) })
	}
	first := steps[0].label
	for _, f := range steps {
		position := slices.Index(s.lines, f.line) + 1
		if f.label.total != first.total || f.label.stage != first.stage || f.label.total <= s.count+s.offset[0] ||
			f.label.index != position+s.offset[0] || f.label.stage != s.name && !(s.alone && f.label.stage == "") {
			model = label{total: s.count + s.offset[0], platform: first.platform, stage: s.name}
			if s.alone {
				model.stage = ""
			}
			return model, true
		}
	}
	return first, false
}

var numbers = regexp.MustCompile(` *\d+/\d+\]$`)

// label returns that of a step, in the form of model.
func (s section) label(f located, model label) label {
	l := f.label
	l.stage, l.total, l.platform = model.stage, model.total, model.platform
	l.index = slices.Index(s.lines, f.line) + 1 + l.total - s.count
	before := numbers.ReplaceAllString(model.prefix, "")
	if model.prefix == "" {
		before = "[" + strings.TrimSpace(model.platform+" "+model.stage)
	}
	if before != "[" {
		before += " "
	}
	width := int(1 + math.Log10(float64(l.total)))
	l.prefix = fmt.Sprintf("%s%*d/%d]", before, width, l.index, l.total)
	return l
}
