package suggest_test

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stokerd/stoker/internal/suggest"
)

// TestPages holds that the example of each rule's page is what the rule makes of a
// scenario, which shows some lines of it.
func TestPages(t *testing.T) {
	for _, r := range suggest.Rules() {
		t.Run(r.Name, func(t *testing.T) {
			page, err := os.ReadFile(filepath.Join("../../docs/rules", r.Name+".md"))
			if err != nil {
				t.Fatal(err)
			}
			before, after := example(t, string(page))
			names, err := filepath.Glob(filepath.Join("testdata", r.Name, "*.txtar"))
			if err != nil {
				t.Fatal(err)
			}
			compose := strings.HasPrefix(before, "services:")
			for _, name := range names {
				s := load(t, name)
				if compose && s.edits() {
					t.Errorf("the page shows a compose file, and in %s the rule edits another one", name)
				} else if !compose && s.becomes(t, before, after) {
					return
				}
			}
			if compose {
				return // no rule changes one
			}
			t.Errorf("no scenario in testdata/%s has the page's example:\n%sbecomes\n%s", r.Name, before, after)
		})
	}
}

// example returns the two blocks of a page that follow on "Before" and "After".
func example(t *testing.T, page string) (before, after string) {
	t.Helper()
	block := func(title string) string {
		_, rest, _ := strings.Cut(page, "\n"+title)
		_, rest, _ = strings.Cut(rest, "\n```")
		_, rest, _ = strings.Cut(rest, "\n")
		text, _, ok := strings.Cut(rest, "\n```\n")
		if !ok {
			t.Fatalf("the page has no example %q", title)
		}
		return text + "\n"
	}
	return block("Before"), block("After")
}

// edits reports whether a scenario wants a file to be changed.
func (s scenario) edits() bool {
	for name := range s.sections {
		if strings.HasPrefix(name, "want/") {
			return true
		}
	}
	return false
}

// becomes reports whether lines of a scenario's file become others: in what is wanted
// of it or, where nothing is, such that there is nothing left to suggest.
func (s scenario) becomes(t *testing.T, before, after string) bool {
	t.Helper()
	for name, text := range s.files {
		if _, none := s.sections["none"]; none || !strings.Contains("\n"+text, "\n"+before) {
			continue
		}
		if want, ok := s.sections["want/"+name]; ok {
			return strings.Contains("\n"+want, "\n"+after)
		}
		files := maps.Clone(s.files)
		files[name] = strings.Replace("\n"+text, "\n"+before, "\n"+after, 1)[1:]
		return len(s.suggestions(t, files)) == 0
	}
	return false
}
