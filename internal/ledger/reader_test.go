package ledger

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/project"
)

// A Dockerfile that is edited all day asks for other files each time: what it asked
// for before is not kept for ever, and what it asks for now is not read again.
func TestReaderForgets(t *testing.T) {
	root := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r, opener := NewReader(), &project.Opener{}
	const edits = 3 * spare
	for i := range edits {
		write(fmt.Sprint("f", i), "x")
		write("Dockerfile", fmt.Sprintf("FROM scratch\nCOPY f%d /\n", i))
		p, err := opener.Open(t.Context(), root, true)
		if err != nil {
			t.Fatal(err)
		}
		b := p.Builds[0]
		if _, err := r.Sent(t.Context(), b.Selection.Plan, b.Definition.Name, p).Digest(0, []dockerfile.Selector{{}}); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(r.last); n > spare+1 {
		t.Errorf("after %d edits %d readings are kept", edits, n)
	}
	for key, one := range r.last {
		if one.turn <= edits-spare-1 {
			t.Errorf("%q is kept, which was read in turn %d of %d", key, one.turn, edits)
		}
	}
}

// TestReaderOfNamedContexts: nothing tells which folder a client gave as a context that no
// file declares, even where it built a Dockerfile that is none of the definitions. What it
// sent of one that is declared is as well known as the main context, and so is what changed
// there without that the builder sees it.
func TestReaderOfNamedContexts(t *testing.T) {
	root := t.TempDir()
	lib := filepath.Join(root, "lib", "file")
	if err := os.Mkdir(filepath.Dir(lib), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"compose.yaml": "services: {app: {build: {context: ., additional_contexts: {lib: ./lib}}}}\n",
		"Dockerfile":   "FROM scratch\nCOPY --from=lib file /\nCOPY main /\n",
		"main":         "x", "lib/file": "one",
	} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(lib, old, old); err != nil {
		t.Fatal(err)
	}
	opener := &project.Opener{}
	open := func() (*project.Picture, *project.Build) {
		t.Helper()
		p, err := opener.Open(t.Context(), root, true)
		if err != nil {
			t.Fatal(err)
		}
		b, ok := p.Find("app")
		if !ok || b.Selection == nil {
			t.Fatalf("app is not found in %v", p.Names())
		}
		return p, b
	}
	r := NewReader()
	p, b := open()
	for _, tt := range []struct {
		name, local string
		want        error
	}{
		{"app", dockerfile.MainContext, nil},
		{"app", "lib", nil},
		{"app", "other", ErrUndeclared},
		{"odd", dockerfile.MainContext, ErrUnseen},
		{"odd", "lib", ErrUnseen}, // it may be the one that is declared
		{"odd", "other", ErrUndeclared},
	} {
		plan := &dockerfile.Plan{Requests: []dockerfile.Request{{Local: tt.local}}}
		for _, own := range b.Selection.Plan.Requests {
			if own.Local == tt.local {
				plan.Requests[0] = own
			}
		}
		if _, err := r.Sent(t.Context(), plan, tt.name, p).Digest(0, []dockerfile.Selector{{}}); !errors.Is(err, tt.want) {
			t.Errorf("of the context %s of %s: %v, want %v", tt.local, tt.name, err, tt.want)
		}
	}

	site := Site{Snapshots: NewSnapshots(func(s string) string { return s }), Keys: []string{""}}
	r.Received(t.Context(), b.Selection.Plan, "app", site, true, p)
	unseen := func() (list []string) {
		p, b := open()
		for local, path := range r.Unseen(t.Context(), b.Selection.Plan, "app", site, p) {
			f, ok := p.Unseen(b, local, path)
			list = append(list, fmt.Sprint(local, " ", path, ": ", f.Path, " in line ", f.StepLine, " ", ok))
		}
		return list
	}
	if got := unseen(); got != nil {
		t.Errorf("without a change, unseen are %q", got)
	}
	if err := os.WriteFile(lib, []byte("two"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(lib, old, old); err != nil {
		t.Fatal(err)
	}
	if got, want := unseen(), []string{"lib file: lib/file in line 2 true"}; !slices.Equal(got, want) {
		t.Errorf("unseen are %q, want %q", got, want)
	}
}
