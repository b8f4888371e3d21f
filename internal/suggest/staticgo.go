package suggest

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
)

// staticGo says where a Go program may want a C library that the image it goes
// to does not have. See docs/rules/static-go.md.
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

// dynamicBuild looks for the go build that makes what a COPY takes of a stage.
func dynamicBuild(in Input, stage int, taken dockerfile.Instruction) (Suggestion, bool) {
	root := rootStage(in.File, stage)
	if imageName(root.Base) != "golang" || strings.Contains(root.Base, "alpine") || strings.Contains(root.Base, "$") {
		return Suggestion{}, false // without a C compiler Go links statically by itself
	}
	for _, ins := range instructionsOf(in.File, stage) {
		if mentions(ins.Text, []string{"CGO_ENABLED", "netgo", "static", "extldflags"}) {
			return Suggestion{}, false
		}
	}
	st := in.File.Stages[stage]
	v := newStageView(in.File, st)
	for k, ins := range st.Instructions {
		if ins.Run == nil {
			continue
		}
		commands, ok := everyCommand(ins.Run, v.shell[k])
		if !ok {
			continue
		}
		for _, c := range commands {
			out := slices.Index(c.words, "-o")
			if !c.starts("go", "build") || out < 0 || out+1 >= len(c.words) || !slices.ContainsFunc(taken.Copy.Sources, func(s string) bool {
				return overlap(path.Clean(s), resolve(v.dirs[k], c.words[out+1], v.vars(k))) && path.IsAbs(s)
			}) {
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
