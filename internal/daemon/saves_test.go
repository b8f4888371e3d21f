package daemon_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stokerd/stoker/cache/store"
	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/changes"
)

// TestSavesTakeThePlaceOfCommits: in a folder without git, saves of files that builds take are
// stored, and once there are enough of them, suggestions are priced by them.
func TestSavesTakeThePlaceOfCommits(t *testing.T) {
	home := t.TempDir()
	root := repository(t, map[string]string{
		"Dockerfile":    "FROM node:22\nWORKDIR /app\nCOPY . .\nRUN npm ci\n",
		".dockerignore": "notes\nnode_modules\n", "package.json": `{"dependencies": {"b": "1"}}`, "package-lock.json": `{"packages": {"": {"dependencies": {"b": "1"}}}}`,
		"app.js": "one", "notes/idea.md": "x",
	})
	r := start(t, home, nil)
	r.up(root, false)
	suggested := func() api.Suggest {
		t.Helper()
		s, err := r.Suggest(t.Context(), api.SuggestRequest{Query: api.Query{Dir: root}})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	if s := suggested(); !strings.HasSuffix(s.Note, "; 0 saves were observed so far, of the 10 that it takes to count in them") {
		t.Errorf("before anything was saved: %s", s.Note)
	}
	write(t, filepath.Join(root, "app.js"), "two")
	write(t, filepath.Join(root, "notes/idea.md"), "y")
	suggested() // by then both saves are seen
	write(t, filepath.Join(root, "notes/idea.md"), "z")
	suggested()
	r.end()

	kept, err := store.Open(r.paths.Store)
	if err != nil {
		t.Fatal(err)
	}
	saves, err := kept.Saves(root)
	if err != nil || len(saves) != 1 {
		t.Fatalf("stored are the saves %v (%v), want one", saves, err)
	}
	if diff := cmp.Diff([]string{"app.js"}, saves[0].Paths); diff != "" {
		t.Errorf("the files of the save (-want +got):\n%s", diff)
	}
	for i := range 11 {
		save := changes.Save{At: saves[0].At.Add(time.Duration(i+1) * time.Minute), Paths: []string{"app.js"}}
		if i == 5 {
			save.Paths = []string{"package.json", "package-lock.json"}
		}
		if err := kept.PutSave(root, save); err != nil {
			t.Fatal(err)
		}
	}
	if err := kept.Close(); err != nil {
		t.Fatal(err)
	}

	r = start(t, home, nil)
	r.wait(root, "the repository", func(api.Repository) bool { return true })
	s := suggested()
	if !strings.HasPrefix(s.Note, "no commits: with savings from 12 observed saves since ") {
		t.Errorf("the note is %q, want that savings are from 12 observed saves", s.Note)
	}
	first := s.Definitions[0].Suggestions[0]
	const evidence = "12 of the last 12 observed saves change what `COPY . .` takes, 1 changes "
	manifests := strings.TrimPrefix(first.Evidence, evidence)
	if first.Rule != "manifests-first" || first.SavesSeconds <= 0 ||
		!strings.HasPrefix(manifests, "package.json or package-lock.json") && !strings.HasPrefix(manifests, "package-lock.json or package.json") {
		t.Errorf("the first suggestion is %s, saves %v and has the evidence %q, want manifests-first with %q", first.Rule, first.SavesSeconds, first.Evidence, evidence)
	}
}
