package suggest

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/stokerd/stoker/context/dockerfile"
)

// A Neighbour is another definition whose files the builder keeps in the same copy
// as a build's: its context folder has the same name, which is what clients go by
// (buildx: build/opt.go, SharedKey).
type Neighbour struct {
	Name string
	// Files and Bytes are those that the build sends and the neighbour does not, so
	// that they are gone from the copy after it.
	Files int
	Bytes int64
	// Elsewhere reports another folder, of the same name.
	Elsewhere bool
}

// muchToResend is how many bytes of transfer are worth a word: about a tenth of a
// second on one machine, and seconds to a remote builder.
const muchToResend = 10 << 20

// alternatingContext says where builds of one folder, or of folders of one name, make
// the builder forget each other's files: it keeps one copy, cut to what the last
// build asked for (BuildKit: source/local). See docs/rules/alternating-context.md.
func alternatingContext(in Input) []Suggestion {
	b := in.Builds[0]
	if len(b.Beside) == 0 || len(in.File.Stages) == 0 {
		return nil
	}
	worst := slices.MaxFunc(b.Beside, func(x, y Neighbour) int { return cmp.Compare(x.Bytes, y.Bytes) })
	if worst.Bytes < muchToResend {
		return nil
	}
	// Nothing but the neighbour is named: where it has the same effect on many builds,
	// they all say the same, and that can be told once.
	s := Suggestion{
		Rule: "alternating-context", Title: "keep builds of " + worst.Name + " from having the context sent over and over", Proof: Advice,
		Evidence: fmt.Sprintf("The builder keeps one copy of a context folder, cut to what the last build asked for: after each build of %s, %d files that did not change are sent again.",
			worst.Name, worst.Files),
		Obstacle: "how they are built is written elsewhere: have one of them take its files from a named context (COPY --from=NAME, and --build-context NAME=DIR, " +
			"additional_contexts or contexts), which the builder keeps apart",
	}
	if worst.Elsewhere {
		s.Obstacle = "the two folders have the same name, by which clients tell copies apart: give one of them another name, or have one take its files from a named context"
	}
	s.Lines = firstTaking(in.File)
	s.spares(worst.Bytes, Transfer, Observed)
	return []Suggestion{s}
}

// firstTaking is where a Dockerfile first takes files of its context.
func firstTaking(f *dockerfile.File) dockerfile.Lines {
	for _, st := range f.Stages {
		for _, ins := range st.Instructions {
			if takesContext(ins) {
				return ins.Lines
			}
		}
	}
	return f.Stages[0].From.Lines
}
