package dockerfile_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/randtest"
)

// TestStepsNeedNoneThatNeedsThem: equal instructions of several stages share
// operations, under the name of one of them, and COPY --link is made of two. Still
// no step may need itself through others, whatever leads there: who follows that
// would never end.
func TestStepsNeedNoneThatNeedsThem(t *testing.T) {
	linked := 0
	for seed := range randtest.Seeds(t, 300, 10_000) {
		text := drawStages(rand.New(rand.NewPCG(seed, 0)))
		plan, err := dockerfile.Convert(t.Context(), dockerfile.Input{Dockerfile: "/Dockerfile", Text: []byte(text)}, nil)
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, text)
		}
		needs := make([]map[int]bool, len(plan.Steps))
		for i, s := range plan.Steps {
			needs[i] = map[int]bool{}
			for _, p := range s.Parents {
				needs[i][p] = true
			}
			if s.Base >= 0 {
				needs[i][s.Base] = true
			}
			for _, from := range s.From {
				needs[i][from.Step] = true
			}
		}
		for range needs {
			for i := range needs {
				for p := range needs[i] {
					for further := range needs[p] {
						needs[i][further] = true
					}
				}
			}
		}
		for i, s := range plan.Steps {
			if needs[i][i] {
				t.Fatalf("seed %d: %s needs itself\n%s", seed, s.Name, text)
			}
		}
		if strings.Count(text, "--link") > 1 {
			linked++
		}
	}
	if linked == 0 {
		t.Error("no Dockerfile had two links")
	}
}

// drawStages makes up a Dockerfile of few instructions that come again and again.
func drawStages(rnd *rand.Rand) string {
	var b strings.Builder
	stages := 1 + rnd.IntN(4)
	for s := range stages {
		base := []string{"node:20", "scratch", fmt.Sprint("s", rnd.IntN(max(s, 1)))}[rnd.IntN(3)]
		if s == 0 && base == "s0" {
			base = "scratch"
		}
		fmt.Fprintf(&b, "FROM %s AS s%d\n", base, s)
		for range 1 + rnd.IntN(4) {
			switch n := rnd.IntN(6); {
			case n == 0 && s > 0:
				fmt.Fprintf(&b, "COPY --from=s%d /made /from\n", rnd.IntN(s))
			case n == 1 && s > 0:
				fmt.Fprintf(&b, "COPY --link --from=s%d /made /from\n", rnd.IntN(s))
			case n < 4:
				b.WriteString("COPY --link conf /conf\n")
			case n == 4:
				b.WriteString("RUN make\n")
			default:
				b.WriteString("COPY conf /conf\n")
			}
		}
	}
	return b.String()
}
