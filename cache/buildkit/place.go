package buildkit

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
)

// A placeFinder finds the instruction that a vertex comes from, in the
// Dockerfile that the provenance holds.
type placeFinder struct {
	prov  []provenance
	texts map[string]map[int]string // Dockerfile → instructions by line
}

// A located is a vertex of a step, with the place that it comes from.
type located struct {
	digest string
	label  label // of its name, which may be that of another build's step
	// text is what the Dockerfile says there, and line where; "" and 0 if that
	// is not known.
	text string
	line int
	// file is the Dockerfile's instructions by line, and platform the index of
	// the provenance that tells.
	file     map[int]string
	platform int
	places   []sourceLine // all that it has; equal steps of two stages are one vertex
}

// A sourceLine is a line of the Dockerfile in the build for one platform.
type sourceLine struct {
	platform int // index of the provenance that tells
	line     int
}

// locate finds the place that the vertex comes from. Equal steps of two stages
// are one vertex with two places, and the name says which stage speaks for both.
// A trigger of the base image has the place of its FROM.
func (f placeFinder) locate(digest string, l label) located {
	found := located{digest: digest, label: l}
	for i, p := range f.prov {
		for _, loc := range p.places(digest) {
			if len(loc.Ranges) == 0 || loc.SourceIndex >= len(p.source.Source.Infos) {
				continue
			}
			at := loc.Ranges[0].Start.Line
			for _, r := range loc.Ranges {
				at = min(at, r.Start.Line)
			}
			byLine := f.instructions(p.source.Source.Infos[loc.SourceIndex].Data)
			if l.onBuild {
				return located{digest: digest, label: l, text: "ONBUILD " + l.keyword, line: at, file: byLine, platform: i}
			}
			if !strings.HasPrefix(byLine[at], l.keyword) {
				continue
			}
			found.places = append(found.places, sourceLine{i, at})
			if found.text == "" || stageAt(byLine, at) == l.stage {
				found.text, found.line, found.file, found.platform = byLine[at], at, byLine, i
			}
		}
	}
	return found
}

func (f placeFinder) instructions(dockerfileText []byte) map[int]string {
	byLine, ok := f.texts[string(dockerfileText)]
	if !ok {
		// What BuildKit has built parses; where another version of its parser
		// does not agree, there are no texts and the keyword has to do.
		byLine, _ = dockerfile.Instructions(dockerfileText)
		f.texts[string(dockerfileText)] = byLine
	}
	return byLine
}

var stageName = regexp.MustCompile(`(?i)\sAS\s+(\S+)\s*$`)

// stageAt returns the name of the stage that the line is in, as vertex names
// have it: unnamed stages go by their number (BuildKit: dockerfile2llb).
func stageAt(byLine map[int]string, line int) string {
	name, number := "", 0
	for _, at := range slices.Sorted(maps.Keys(byLine)) {
		if at > line {
			break
		}
		if !strings.HasPrefix(byLine[at], "FROM ") {
			continue
		}
		name = fmt.Sprintf("stage-%d", number)
		if m := stageName.FindStringSubmatch(byLine[at]); m != nil {
			name = strings.ToLower(m[1])
		}
		number++
	}
	return name
}
