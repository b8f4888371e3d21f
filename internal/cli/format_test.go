package cli

import (
	"strings"
	"testing"

	"github.com/stokerd/stoker/internal/api"
)

func TestVisible(t *testing.T) {
	for _, tt := range []struct {
		name, raw, want string
	}{
		{"src/größe.js", "", "src/größe.js"},
		{"two words", "", "two words"},
		{"a\nb\tc", "", `a\nb\tc`},
		{"\x1b[31mred\a", "", `\x1b[31mred\a`},
		{"exe\u202egpj.", "", `exe\u202egpj.`},
		{"\uFFFD.js", "\xff.js", `\xff.js`},
	} {
		var raw []byte
		if tt.raw != "" {
			raw = []byte(tt.raw)
		}
		if got := visible(tt.name, raw); got != tt.want {
			t.Errorf("visible(%q, %q) = %q, want %q", tt.name, tt.raw, got, tt.want)
		}
	}
}

func TestShare(t *testing.T) {
	text := func(n int) []string { return []string{"x", strings.Repeat("x", n)} }
	for _, tt := range []struct{ width, first, second, a, b int }{
		{0, 300, 300, 300, 300}, // no terminal
		{80, 30, 20, 30, 20},    // both fit
		{80, 60, 20, 50, 20},    // the second one needs no more than its third
		{80, 60, 60, 47, 23},    //
		{80, 30, 60, 30, 40},    // the first one fits
		{200, 150, 30, 150, 30}, //
		{200, 170, 30, 160, 30}, //
		{10, 100, 100, 16, 8},   // no sense, and no panic
	} {
		a, b := printer{width: tt.width}.share(10, text(tt.first), text(tt.second))
		if a != tt.a || b != tt.b {
			t.Errorf("share of %d for %d and %d: %d and %d, want %d and %d", tt.width, tt.first, tt.second, a, b, tt.a, tt.b)
		}
	}
}

func TestShorten(t *testing.T) {
	for _, tt := range []struct {
		text          string
		width         int
		middle, atEnd string
	}{
		{"src/cart.js", 11, "src/cart.js", "src/cart.js"},
		{"src/cart.js", 10, "src/…rt.js", "src/cart.…"},
		{"src/cart.js", 7, "src….js", "src/ca…"},
		{"größe/日本語.js", 10, "größ…語.js", "größe/日…"},
		{"日本語", 2, "…", "…"},
		{"abc", 1, "…", "…"},
	} {
		if got := shorten(tt.text, tt.width); got != tt.middle {
			t.Errorf("shorten(%q, %d) = %q, want %q", tt.text, tt.width, got, tt.middle)
		}
		if got := clip(tt.text, tt.width); got != tt.atEnd {
			t.Errorf("clip(%q, %d) = %q, want %q", tt.text, tt.width, got, tt.atEnd)
		}
	}
}

// A RUN may be a whole script: shortening it takes time as reading it does.
func BenchmarkShorten(b *testing.B) {
	script := strings.Repeat("apt-get install -y something && ", 10_000)
	for b.Loop() {
		shorten(script, 60)
	}
}

// What a build asked for beyond what was worked out stands in the status, in lines
// that fit.
func TestStatusShowsSelfReports(t *testing.T) {
	var out strings.Builder
	printer{w: &out, width: 80}.selfReports([]api.Definition{
		{Name: "web"}, {Name: "api", Last: &api.Build{Ref: "x3k9"}},
		{Name: "jobs", Last: &api.Build{Ref: "m2p4", SelfReport: []string{"the builder asked for other files than stoker had worked out"}}},
	})
	want := "differs  jobs  the builder asked for other files than stoker had worked out\n" +
		"               (build m2p4)\n"
	if out.String() != want {
		t.Errorf("status says\n%swant\n%s", out.String(), want)
	}
}

// TestWrapped: a line ends between words, and never within one that fits a line.
func TestWrapped(t *testing.T) {
	var b strings.Builder
	printer{w: &b, width: 45}.wrapped("     ", "5 of 60 commits change package-lock.json; see stoker suggest --rule cache-mount")
	want := `     5 of 60 commits change
     package-lock.json; see stoker suggest
     --rule cache-mount
`
	if got := b.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestGuessesAreSaidToBe(t *testing.T) {
	for _, c := range []struct {
		saved float64
		costs string
		want  string
	}{
		{0, "prior", "about 70MB"},
		{0, "observed", "70MB"},
		{2, "prior", "70MB"}, // of the seconds
	} {
		if got := about(70e6, c.saved, c.costs); got != c.want {
			t.Errorf("70e6 bytes beside %v s, %s: %s, want %s", c.saved, c.costs, got, c.want)
		}
	}
}
