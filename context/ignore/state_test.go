package ignore_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/stokerd/stoker/context/ignore"
)

// TestQuirks documents where BuildKit does what one would not expect. Every case is
// checked against patternmatcher as well.
func TestQuirks(t *testing.T) {
	silence(t)
	tests := []struct {
		name     string
		patterns string // one per line
		path     string
		want     bool
	}{
		{"a directory covers what is below", "a", "a/b/c", true},
		{"a name is the root's only", "a", "b/a", false},
		{"two stars are any depth", "**/a", "b/c/a", true},
		{"two stars are no depth, too", "**/a", "a", true},
		{"contents are not the directory", "a/**", "a", false},
		{"contents", "a/**", "a/b/c", true},
		{"two stars at the head are a suffix", "**foo", "a/barfoo", true},
		{"two stars at the end are a prefix", "foo**", "foobar/x", true},
		{"one star takes leading dots", "*", ".git", true},
		{"an exception below an excluded parent", "a\n!a/b", "a/b", false},
		{"the last line wins", "a\n!a/b\na/b/c", "a/b/c", true},
		{"an exception that nothing asked for at the parent is lost below", "a/b\n!a", "a/b", true},
		{"so is a repeated line", "a\n!a/b\na", "a/b", false},
		{"two exclamation marks are a name's first", "!!a", "!a", false},
		{"the root is nobody's", ".\n/\n..", "a", false},
		{"a class may be a separator", "a[^x]b", "a/b", true},
		{"a star in brackets is not literal", "x[*]y", "x*y", false},
		{"an escaped star is literal", `\*`, "*", true},
		{"an escaped letter is a class", `x\d`, "x7", true},
		{"an open quotation takes the rest", `\Qa`, "a$b", true},
		{"a bar is an alternative", "x|b*", "a/b", true},
		{"a bar without wildcards is itself", "x|b", "x", false},
		{"braces repeat", "a{2}*", "aab", true},
		{"a caret is an anchor", "^a*", "ab", true},
		{"a caret without wildcards is itself", "^a", "a", false},
		{"a word boundary", `*\b.go`, "a.go", true},
		{"a star takes a newline", "a*", "a\nb", true},
		{"two stars take no newline before a wildcard", "**/b*", "a\nb/b", false},
		{"two stars take a newline before a name", "**/b", "a\nb/b", true},
		{"what is not UTF-8 is compared by bytes", "caf\xe9", "caf\xe9", true},
		{"and beside a wildcard as any such byte", "caf\xe9*", "caf\xe8", true},
		{"a suffix may be half of a character", "**\xa9", "é", true},
		{"a mark at the head is read over by a wildcard", "x\n\ufeffa*", "ab", true},
		{"and counts in a name", "x\n\ufeffa", "a", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			patterns := strings.Split(tt.patterns, "\n")
			oracle, _, err := match(patterns, tt.path)
			if err != nil {
				t.Fatal(err)
			}
			if oracle != tt.want {
				t.Fatalf("patternmatcher says %v for %q under %q: the case is wrong", oracle, tt.path, patterns)
			}
			if got := newMatcher(t, patterns).Ignored(tt.path); got != tt.want {
				t.Errorf("Ignored(%q) = %v under %q, want %v", tt.path, got, patterns, tt.want)
			}
		})
	}
}

// TestSilence checks that nothing is printed for patterns that are not UTF-8, as
// patternmatcher does when it matches them.
func TestSilence(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr := os.Stderr
	os.Stderr = w
	t.Cleanup(func() { os.Stderr = stderr })
	f, err := ignore.Parse("f", []byte("caf\xe9\n**/\xe9*\n\xe9**\n**\xe9\n!\xe9\x00*\na\x00b\n"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := ignore.NewMatcher(f)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"caf\xe9", "a/\xe9b", "x"} {
		m.Ignored(name)
		m.Explain(name)
	}
	os.Stderr = stderr
	w.Close()
	printed, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if len(printed) > 0 {
		t.Errorf("printed %q", printed)
	}
}

// multiplying are patterns that make more nodes than are kept.
var multiplying = []string{"**/*a" + strings.Repeat("?", 24) + "b*", "**/*b" + strings.Repeat("?", 20) + "a", "!**/*c.go"}

// TestShared uses one matcher from several goroutines while its nodes are made and
// dropped. The race detector finds what the comparisons do not.
func TestShared(t *testing.T) {
	m := newMatcher(t, multiplying)
	var wg sync.WaitGroup
	for seed := range uint64(4) {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(seed/2, 0)) // in pairs on the same paths
			var paths, want []string
			for range 250 {
				path := []byte(strings.Repeat(" ", 60))
				for i := range path {
					path[i] = "abab/"[rnd.IntN(5)]
				}
				clean := strings.Trim(strings.ReplaceAll(string(path), "//", "/a"), "/")
				paths = append(paths, clean)
				ok, _, err := match(multiplying, clean)
				if err != nil {
					t.Error(err)
				}
				want = append(want, fmt.Sprint(ok))
			}
			for i, p := range paths {
				if got := fmt.Sprint(m.Ignored(p)); got != want[i] {
					t.Errorf("Ignored(%q) = %s, want %s", p, got, want[i])
				}
			}
		})
	}
	wg.Wait()
}
