package dockerfile_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stokerd/stoker/context/dockerfile"
)

// chained is a Dockerfile of stages that start from one another.
func chained(stages int) string {
	var b strings.Builder
	b.WriteString("FROM alpine AS s0\nRUN true\n")
	for i := 1; i < stages; i++ {
		fmt.Fprintf(&b, "FROM s%d AS s%d\nRUN echo %d\n", i-1, i, i)
	}
	return b.String()
}

// TestDeepChains holds that thousands of stages are converted where they stand beside
// each other, and told clearly where they stand on top of each other, which the
// frontend would take minutes for.
func TestDeepChains(t *testing.T) {
	wide := "FROM alpine AS s0\nRUN true\n"
	for i := range 3000 {
		wide += fmt.Sprintf("FROM alpine AS w%d\nRUN echo %d\n", i, i)
	}
	// The variable stands for the end of the chain, and not for the stage before it.
	further := "FROM alpine AS apart\nFROM ${X}s399 AS t0\n"
	for i := range 150 {
		further += fmt.Sprintf("FROM t%d AS t%d\nRUN echo %d\n", i, i+1, i)
	}
	for name, c := range map[string]struct {
		text string
		line int
	}{
		"one below the other": {chained(3000), 1001},
		"by a variable":       {strings.ReplaceAll(chained(600), "FROM s", "FROM ${X}s"), 1001},
		"by one variable":     {chained(400) + further, 1001},
		"beside each other":   {wide, 0},
		"few":                 {chained(50), 0},
	} {
		_, err := dockerfile.Convert(t.Context(), dockerfile.Input{Dockerfile: "Dockerfile", Text: []byte(c.text), Context: t.TempDir()}, nil)
		var told *dockerfile.Error
		if errors.As(err, &told) != (c.line > 0) || told != nil && (told.Line != c.line || told.Hint == "") || c.line == 0 && err != nil {
			t.Errorf("%s: %v, want it told of line %d", name, err, c.line)
		}
	}
}

// BenchmarkConvertChain is the deepest chain of stages that is converted.
func BenchmarkConvertChain(b *testing.B) {
	in := dockerfile.Input{Dockerfile: "Dockerfile", Text: []byte(chained(500)), Context: b.TempDir()}
	for b.Loop() {
		if _, err := dockerfile.Convert(b.Context(), in, nil); err != nil {
			b.Fatal(err)
		}
	}
}
