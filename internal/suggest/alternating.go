package suggest

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/stokerd/stoker/context/dockerfile"
)

// A Neighbour is another definition whose context the builder keeps in the same copy as that
// of a build, because the context folders have the same name (buildx: build/opt.go,
// SharedKey).
type Neighbour struct {
	Name string // of the definition
	// Files and Bytes count what the build sends and the neighbour does not: it is gone
	// from the copy after a build of the neighbour, and has to be sent again.
	Files int
	Bytes int64
	// Elsewhere says that the neighbour's context is another folder of the same name.
	Elsewhere bool
}

// muchToResend is how many bytes have to be sent again for a suggestion: they take about a
// tenth of a second on one machine, and seconds to a remote builder.
const muchToResend = 10 << 20

// alternatingContext tells of builds that make the builder drop each other's files. It keeps
// one copy for all context folders with one name, and removes from it what the last build did
// not ask for (BuildKit: source/local). See docs/rules/alternating-context.md.
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

// firstTaking returns the lines of the first instruction that takes files of the context, or
// of the first FROM.
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
