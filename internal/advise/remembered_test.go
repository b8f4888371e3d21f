package advise

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stokerd/stoker/internal/project"
)

// TestRoundRemembersConversions holds that the builds of one Dockerfile are converted by the same
// functions, which remember, whichever of them is asked about, and that nothing is kept of another one.
func TestRoundRemembersConversions(t *testing.T) {
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"Dockerfile":     "FROM debian:12 AS a\nCOPY . .\nFROM debian:12 AS b\nCOPY . .\n",
		"web.Dockerfile": "FROM debian:12\nCOPY . .\n",
		"compose.yaml":   "services:\n  a: {build: {context: ., target: a}}\n  b: {build: {context: ., target: b}}\n  web: {build: {context: ., dockerfile: web.Dockerfile}}\n",
	} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p, err := (&project.Opener{}).Open(t.Context(), root, false)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Builds) != 3 {
		t.Fatalf("found %d builds", len(p.Builds))
	}
	r := newRound(History{}, nil, nil)
	for i, want := range []int{2, 2, 1} {
		r.of(t.Context(), p, p.Builds[i])
		if len(r.convert) != want {
			t.Errorf("after %s there are %d builds with a memory, not %d", p.Builds[i].Definition.Name, len(r.convert), want)
		}
		for b, convert := range r.convert {
			one, err := convert([]byte("FROM scratch AS a\nFROM scratch AS b\n"))
			if err != nil {
				t.Fatal(err)
			}
			if again, _ := convert([]byte("FROM scratch AS a\nFROM scratch AS b\n")); again != one {
				t.Errorf("%s is converted again", b.Definition.Name)
			}
		}
	}
}
