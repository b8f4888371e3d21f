package suggest

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
)

// versionedName matches images whose name says which they are.
var versionedName = regexp.MustCompile(`[-_]?(debian|alpine|ubuntu|ubi|rhel|bookworm|trixie)?\d+$`)

// pin says where a base image is whatever its newest version is. See
// docs/rules/pin.md.
func pin(in Input) []Suggestion {
	var list []Suggestion
	add := func(ins dockerfile.Instruction, ref string) {
		for _, s := range list {
			if s.Lines == ins.Lines {
				return
			}
		}
		list = append(list, Suggestion{
			Rule: "pin", Title: "say which version of " + imageName(ref) + " is meant", Lines: ins.Lines, Proof: Advice,
			Evidence: fmt.Sprintf("`%s` takes whatever is newest: a release elsewhere changes the image, and repeats every step on top of it, without a change here.", short(ins.Text)),
			Obstacle: "which version is yours to choose: write a tag, or a digest",
		})
	}
	for _, b := range in.Builds {
		if b.Plan == nil {
			continue
		}
		needed := reachable(in.File, b.Target)
		for _, st := range in.File.Stages {
			if !needed[st.Index] {
				continue
			}
			if st.BaseStage < 0 && floats(b, st.Base) {
				add(st.From, st.Base)
			}
			for _, ins := range st.Instructions {
				if ins.Copy != nil && ins.Copy.From != "" && in.File.StageOf(ins.Copy.From) < 0 && floats(b, ins.Copy.From) {
					add(ins, ins.Copy.From)
				}
			}
		}
	}
	return list
}

// floats reports an image that is written without a version and that the build
// takes from a registry.
func floats(b Build, ref string) bool {
	if strings.ContainsAny(ref, "$@") || ref == "scratch" || versionedName.MatchString(imageName(ref)) {
		return false
	}
	if name := untagged(ref); name != ref && ref != name+":latest" {
		return false
	}
	return slices.ContainsFunc(b.Plan.Bases, func(base dockerfile.Base) bool {
		return strings.HasSuffix(base.Ref, imageName(ref)+":latest")
	})
}

// untagged returns a reference without its tag.
func untagged(ref string) string {
	if i := strings.LastIndex(ref, ":"); i > strings.LastIndex(ref, "/") {
		return ref[:i]
	}
	return ref
}
