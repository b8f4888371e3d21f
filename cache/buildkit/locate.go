package buildkit

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
)

// A locator finds the instructions that vertices come from, in the Dockerfiles that
// the provenance holds.
type locator struct {
	prov  []provenance
	files map[string]map[int]string // text of a Dockerfile → its instructions by line
}

// A located is a vertex of a step, with the instruction that it comes from.
type located struct {
	digest string
	label  label // in the vertex's name, which may be one that another build gave it
	// text is the instruction, and line where it begins; "" and 0 if unknown.
	text string
	line int
	// file has the instructions of the Dockerfile by line; platform is the index of
	// the provenance that it was found in.
	file     map[int]string
	platform int
	// places are all lines that the vertex comes from: equal steps of two stages, or
	// for two platforms, are one vertex.
	places []sourceLine
}

// A sourceLine is a line of the Dockerfile in the build for one platform.
type sourceLine struct {
	platform int // index of the provenance
	line     int
}

// locate finds the instruction that the vertex comes from. If there are several, it
// is the one in the stage that the label names. An ONBUILD trigger of the base image
// comes from FROM.
func (lc locator) locate(digest string, l label) located {
	found := located{digest: digest, label: l}
	for i, p := range lc.prov {
		for _, loc := range p.places(digest) {
			if loc.SourceIndex >= len(p.source.Source.Infos) {
				continue
			}
			line, ok := loc.firstLine()
			if !ok {
				continue
			}
			file := lc.instructions(p.source.Source.Infos[loc.SourceIndex].Data)
			if l.onBuild {
				return located{digest: digest, label: l, text: "ONBUILD " + l.keyword, line: line, file: file, platform: i}
			}
			if !strings.HasPrefix(file[line], l.keyword) {
				continue
			}
			found.places = append(found.places, sourceLine{i, line})
			if found.text == "" || stageAt(file, line) == l.stage {
				found.text, found.line, found.file, found.platform = file[line], line, file, i
			}
		}
	}
	return found
}

// instructions returns the instructions of a Dockerfile by line.
func (lc locator) instructions(dockerfileText []byte) map[int]string {
	file, ok := lc.files[string(dockerfileText)]
	if !ok {
		// BuildKit has parsed this text. If our version of its parser rejects it all
		// the same, no instruction is known, and steps are named by their keywords.
		file, _ = dockerfile.Instructions(dockerfileText)
		lc.files[string(dockerfileText)] = file
	}
	return file
}

// stageName matches the name that FROM gives its stage.
var stageName = regexp.MustCompile(`(?i)\sAS\s+(\S+)\s*$`)

// stageAt returns the name of the stage that the line is in, as in the names of
// vertices: an unnamed stage is called by its number (BuildKit: dockerfile2llb). It
// is "" above the first FROM.
func stageAt(file map[int]string, line int) string {
	name, number := "", 0
	for _, at := range slices.Sorted(maps.Keys(file)) {
		if at > line {
			break
		}
		if !strings.HasPrefix(file[at], "FROM ") {
			continue
		}
		name = fmt.Sprintf("stage-%d", number)
		if m := stageName.FindStringSubmatch(file[at]); m != nil {
			name = strings.ToLower(m[1])
		}
		number++
	}
	return name
}
