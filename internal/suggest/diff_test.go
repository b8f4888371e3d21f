package suggest_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stokerd/stoker/internal/suggest"
)

// TestDiffNumbersItsHunks holds what a hunk says of its place against the texts.
func TestDiffNumbersItsHunks(t *testing.T) {
	lines := func(n int) []string {
		var list []string
		for i := range n {
			list = append(list, fmt.Sprintf("line %d\n", i+1))
		}
		return list
	}
	text := func(list []string, at map[int]string) []byte {
		var b strings.Builder
		for i, line := range list {
			if instead, ok := at[i+1]; ok {
				line = instead
			}
			b.WriteString(line)
		}
		return []byte(b.String())
	}
	sixty := lines(60)
	for _, c := range []struct {
		name string
		s    suggest.Change
		want []string
	}{
		{"two changes in one hunk", suggest.Change{Old: text(sixty, nil), New: text(sixty, map[int]string{10: "", 14: "a\nb\n", 30: "@@ -1 +1 @@\n", 50: "", 55: "", 60: "c\n"})},
			[]string{"@@ -7,11 +7,11 @@", "@@ -27,7 +27,7 @@", "@@ -47,14 +47,12 @@"}},
		{"shorter, then two", suggest.Change{Old: text(sixty, nil), New: text(sixty, map[int]string{3: "", 5: "", 20: "", 24: "", 40: "a\nb\n"})},
			[]string{"@@ -1,8 +1,6 @@", "@@ -17,11 +15,9 @@", "@@ -37,7 +33,8 @@"}},
		{"one line", suggest.Change{Old: []byte("a\n"), New: []byte("b\n")}, []string{"@@ -1 +1 @@"}},
		{"new", suggest.Change{New: []byte("a\nb\n")}, []string{"@@ -0,0 +1,2 @@"}},
		{"emptied", suggest.Change{Old: []byte("a\nb\n"), New: []byte{}}, []string{"@@ -1,2 +0,0 @@"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.s.Path = "Dockerfile"
			diff := suggest.Suggestion{Changes: []suggest.Change{c.s, c.s}}.Diff()
			got := regexp.MustCompile(`(?m)^@@ .*$`).FindAllString(diff, -1)
			if d := cmp.Diff(append(c.want, c.want...), got); d != "" {
				t.Errorf("hunks (-want +got):\n%s\n%s", d, diff)
			}
		})
	}
}
