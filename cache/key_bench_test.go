package cache_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/context/dockerfile"
)

// BenchmarkKeys40 is what a prediction for a definition of 40 steps begins with:
// converting the Dockerfile, and computing the keys with content digests that are
// known.
func BenchmarkKeys40(b *testing.B) {
	var text strings.Builder
	text.WriteString("FROM base AS build\nWORKDIR /src\n")
	for i := range 19 {
		fmt.Fprintf(&text, "COPY p%d/x d%d /%d/\nENV E%d=v\nRUN --mount=type=cache,target=/c step %d && something | that > is/a -little --longer\n", i, i, i, i, i)
	}
	text.WriteString("FROM base\nCOPY --from=build /out /out\n")
	in := dockerfile.Input{Dockerfile: "Dockerfile", Text: []byte(text.String()), Context: b.TempDir()}
	known := func(int, []dockerfile.Selector) (string, error) { return "sha256:" + strings.Repeat("0", 64), nil }
	plan, err := dockerfile.Convert(b.Context(), in, bases("1"))
	if err != nil {
		b.Fatal(err)
	}
	if len(plan.Steps) != 40 {
		b.Fatalf("%d steps", len(plan.Steps))
	}
	b.Run("convert", func(b *testing.B) {
		for b.Loop() {
			if _, err := dockerfile.Convert(b.Context(), in, bases("1")); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("keys", func(b *testing.B) {
		for b.Loop() {
			cache.Keys(plan.Ops, known)
		}
	})
}
