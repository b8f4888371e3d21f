package suggest

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
)

// staticGo tells of Go programs that may be linked to a C library, and are copied into an image
// without one. See docs/rules/static-go.md.
func staticGo(in Input) []Suggestion {
	var list []Suggestion
	for _, b := range in.Builds {
		target := targetStage(in.File, b)
		if target < 0 {
			continue
		}
		base := imageName(rootStage(in.File, target).Base)
		if base != "scratch" && !strings.HasPrefix(base, "gcr.io/distroless/static") {
			continue
		}
		for _, ins := range in.File.Stages[target].Instructions {
			if ins.Copy == nil || ins.Copy.From == "" {
				continue
			}
			if from := in.File.StageOf(ins.Copy.From); from >= 0 {
				if s, ok := dynamicBuild(in, from, ins); ok && !slices.ContainsFunc(list, func(o Suggestion) bool { return o.Lines == s.Lines }) {
					list = append(list, s)
				}
			}
		}
	}
	return list
}

// dynamicBuild returns the suggestion for the first go build of a stage whose program a COPY
// takes. It reports false if there is none, or if the program seems to be built without C.
func dynamicBuild(in Input, stage int, taken dockerfile.Instruction) (Suggestion, bool) {
	root := rootStage(in.File, stage)
	if imageName(root.Base) != "golang" || strings.Contains(root.Base, "alpine") || strings.Contains(root.Base, "$") {
		return Suggestion{}, false // alpine has no C compiler, without which Go links statically
	}
	for _, ins := range instructionsOf(in.File, stage) {
		if mentions(ins.Text, []string{"CGO_ENABLED", "netgo", "static", "extldflags"}) {
			return Suggestion{}, false
		}
	}
	v := in.bare(in.File.Stages[stage])
	for k, ins := range v.stage.Instructions {
		if ins.Run == nil {
			continue
		}
		commands, ok := v.everyCommand(k)
		if !ok {
			continue
		}
		for _, c := range commands {
			if !v.builds(k, c, taken) {
				continue
			}
			at, ok := ins.Run.Offset(c.from)
			if !ok {
				continue
			}
			change, err := rewrite(in, 0, spliced(in.File, ins, splice{at, at, "CGO_ENABLED=0 "}))
			if err != nil {
				continue
			}
			return Suggestion{
				Rule: "static-go", Title: "build the Go program without C", Lines: ins.Lines, Proof: Advice, Changes: []Change{change},
				Evidence: fmt.Sprintf("`%s` may link to the C library of its stage, as it does for names of hosts and users; the image that `%s` puts it into has none.", short(ins.Text), short(taken.Text)),
				Obstacle: "a program that needs C does not build this way",
			}, true
		}
	}
	return Suggestion{}, false
}

// builds reports whether c, a command of instruction k, is a go build whose output a COPY takes.
func (v *stageView) builds(k int, c command, taken dockerfile.Instruction) bool {
	out := slices.Index(c.words, "-o")
	if !c.starts("go", "build") || out < 0 || out+1 >= len(c.words) {
		return false
	}
	program := resolve(v.dirs[k], c.words[out+1], v.vars(k))
	return slices.ContainsFunc(taken.Copy.Sources, func(s string) bool { return path.IsAbs(s) && overlap(path.Clean(s), program) })
}
