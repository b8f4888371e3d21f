package buildkit

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
)

// relabel returns the labels of a build's steps, by digest of the vertex.
//
// Usually that is the label in the vertex's name. But while two builds share an
// operation, BuildKit shows it under the name that the first of them gave it, with
// the first one's stage and step number (BuildKit: solver/jobs.go, loadUnlocked).
// Such a name is detected by comparing it with where the step is in the Dockerfile,
// and the label is replaced by the one that this build would have given. from reports
// whether an operation comes from a line, that of a FROM.
func relabel(found []located, from func(sourceLine) bool) map[string]label {
	labels := make(map[string]label, len(found))
	sections := map[sectionID][]located{}
	made := map[sourceLine]bool{} // lines that a vertex comes from
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
		s := newSection(steps[0].file, id.from, func(line int) bool {
			at := sourceLine{id.platform, line}
			return made[at] || line == id.from && from(at)
		})
		if slices.ContainsFunc(steps, func(f located) bool { return f.label.onBuild }) {
			continue // ONBUILD triggers of the base image count too, and are not in the file
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

// A sectionID identifies a stage in the build for one platform.
type sectionID struct {
	platform int // index of the provenance
	from     int // line of the stage's FROM
}

// compare orders by platform, then by line.
func (id sectionID) compare(other sectionID) int {
	if id.platform != other.platform {
		return id.platform - other.platform
	}
	return id.from - other.from
}

// section returns the stage that f's line is in.
func (f located) section() sectionID {
	from := 0
	for line, text := range f.file {
		if line <= f.line && line > from && strings.HasPrefix(text, "FROM ") {
			from = line
		}
	}
	return sectionID{f.platform, from}
}

// A section is a stage as the Dockerfile has it. From it follow the labels that its
// steps can have: "[name 3/7]".
type section struct {
	name  string // in labels
	alone bool   // the only stage of the file, whose name labels may leave out
	lines []int  // lines of the steps that are numbered, in their order
	count int    // of the steps that count in the total
	// offsets are what FROM may add to the numbers, the likelier first.
	offsets []offset
}

// An offset is what FROM adds to the number of each step, and to the total. An image
// is a step, and a stage is none. A named context, and an image without layers, count
// in the total alone, so that the first step is number 1 (BuildKit:
// dockerfile2llb.resolveBaseImage).
type offset struct{ number, total int }

// newSection reads the stage whose FROM is on the line from. made reports whether
// some vertex comes from a line: a WORKDIR that leads to the root makes none, and
// then counts in the total but is not numbered (BuildKit:
// dockerfile2llb.dispatchWorkdir). So does a FROM, unless it names a stage.
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
				s.offsets = offsetsOf(rest, stages, made(from))
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

// offsetsOf returns section.offsets, given the words after FROM, the names of the
// stages above it, and whether an operation comes from it. What a variable in the words
// expands to is unknown.
func offsetsOf(words string, stages map[string]bool, pulls bool) []offset {
	if pulls {
		return []offset{{1, 1}}
	}
	for word := range strings.FieldsSeq(words) {
		switch {
		case strings.HasPrefix(word, "--"):
		case strings.Contains(word, "$"):
			return []offset{{0, 0}, {0, 1}}
		case stages[strings.ToLower(word)]:
			return []offset{{0, 0}}
		default:
			return []offset{{0, 1}}
		}
	}
	return []offset{{0, 1}}
}

// position returns the place of a line among the numbered steps, from 1 on.
func (s section) position(line int) int { return slices.Index(s.lines, line) + 1 }

// names reports whether l has the name of this stage.
func (s section) names(l label) bool {
	return l.stage == s.name || s.alone && l.stage == ""
}

// fits reports whether the label of f is one that this stage gives it.
func (s section) fits(f located) bool {
	return s.names(f.label) && slices.ContainsFunc(s.offsets, func(o offset) bool {
		return f.label.index == s.position(f.line)+o.number && f.label.total == s.count+o.total
	})
}

// model returns a label of this stage, after which those of other steps can be
// formed, and whether some of the steps have a label of another build.
func (s section) model(steps []located) (model label, foreign bool) {
	if own := slices.IndexFunc(steps, s.fits); own >= 0 {
		return steps[own].label, slices.ContainsFunc(steps, func(f located) bool { return !s.fits(f) })
	}
	if s.hasIdleTriggers(steps) {
		return steps[0].label, false
	}
	model = label{total: s.count + s.offsets[0].total, platform: steps[0].label.platform, stage: s.name}
	if s.alone {
		model.stage = ""
	}
	return model, true
}

// hasIdleTriggers reports whether the labels are this stage's own but for a total
// that is larger by the same number in all of them. That is so if the base image has
// ONBUILD triggers that run nothing: these count in the total alone.
func (s section) hasIdleTriggers(steps []located) bool {
	total := steps[0].label.total
	return total > s.count+s.offsets[0].total && !slices.ContainsFunc(steps, func(f located) bool {
		l := f.label
		return l.total != total || l.stage != steps[0].label.stage || !s.names(l) || l.index != s.position(f.line)+s.offsets[0].number
	})
}

// stepNumbers matches the end of a prefix, " 3/7]".
var stepNumbers = regexp.MustCompile(` *\d+/\d+\]$`)

// label returns the label that this stage gives f, in the form of model.
func (s section) label(f located, model label) label {
	l := f.label
	l.stage, l.total, l.platform = model.stage, model.total, model.platform
	at := max(0, slices.IndexFunc(s.offsets, func(o offset) bool { return o.total == l.total-s.count }))
	l.index = s.position(f.line) + s.offsets[at].number
	before := stepNumbers.ReplaceAllString(model.prefix, "")
	if model.prefix == "" {
		before = "[" + strings.TrimSpace(model.platform+" "+model.stage)
	}
	if before != "[" {
		before += " "
	}
	width := int(1 + math.Log10(float64(l.total))) // of the total's digits
	l.prefix = fmt.Sprintf("%s%*d/%d]", before, width, l.index, l.total)
	return l
}
