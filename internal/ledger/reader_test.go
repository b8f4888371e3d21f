package ledger

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

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
