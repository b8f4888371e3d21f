package buildctx

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestUpdateEqualsCompute updates a selection after random changes, and compares it
// with one that is computed from scratch: sizes, files, and errors.
func TestUpdateEqualsCompute(t *testing.T) {
	reused := 0
	for seed := range uint64(150) {
		w := newWorld(t, 20_000+seed)
		def := w.definition()
		tree, err := Scan(t.Context(), w.root, nil)
		if err != nil {
			t.Fatal(err)
		}
		var s *Selection
		for range 12 {
			var paths []string
			for range 1 + w.rnd.IntN(3) {
				paths = append(paths, w.step()...)
			}
			if tree, _, err = tree.Apply(t.Context(), paths, nil); err != nil {
				t.Fatal(err)
			}
			shown := tree
			if w.rnd.IntN(8) == 0 {
				shown = withError(tree, w.dir())
			}
			views := func(string) (*Tree, string, error) { return shown, ".", nil }
			fresh, want := Compute(t.Context(), def, nil, views)
			next, got := fresh, want
			if s != nil {
				next, got = s.Update(t.Context(), views)
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Fatalf("seed %d after %q: Update says %v, Compute %v", seed, paths, got, want)
			}
			if got != nil {
				continue // the selection stays what it was
			}
			if d := cmp.Diff(describe(fresh.Main), describe(next.Main)); d != "" {
				t.Fatalf("seed %d after %q (-Compute +Update):\n%s", seed, paths, d)
			}
			if s != nil {
				reused += shared(s.Main.top, next.Main.top)
				checkSince(t, s.Main, next.Main)
			}
			s = next
		}
	}
	if reused < 1000 {
		t.Errorf("only %d summaries were reused: the updates did too much work", reused)
	}
}

// definition draws a definition of which the world is the context, with its own
// files elsewhere.
func (w *world) definition() Definition {
	name := filepath.Join(w.t.TempDir(), "Dockerfile")
	text := "FROM scratch\n"
	for range 1 + w.rnd.IntN(3) {
		text += "COPY " + pick(w.rnd, []string{".", "src", "a", "*.go", "src*/x.go", "src b", "missin[g]"}) + " /x/\n"
	}
	mustWrite(w.t, name, text)
	mustWrite(w.t, name+".dockerignore", strings.Join(w.patterns(), "\n"))
	return Definition{Context: w.root, Dockerfile: name}
}

func describe(l Local) []string {
	list := []string{fmt.Sprintf("context %+v, sent %+v", l.Context, l.Sent)}
	for f := range l.All() {
		list = append(list, line(f))
		if found, ok := l.Lookup(f.Path); !ok || line(found) != line(f) {
			list = append(list, fmt.Sprintf("Lookup gives %v, %s", ok, line(found)))
		}
	}
	return list
}

func line(f File) string {
	return fmt.Sprintf("%q %v %d %q %d %v %v %v", f.Path, f.Mode, f.Size, f.Link, f.Bytes, f.Sent, f.Steps, f.mtime)
}

// checkSince checks that Since names every file that differs.
func checkSince(t *testing.T, old, next Local) {
	t.Helper()
	paths, ok := next.Since(old)
	if !ok {
		return
	}
	was := map[string]string{}
	for f := range old.All() {
		was[f.Path] = line(f)
	}
	for f := range next.All() {
		if was[f.Path] != line(f) && !f.Mode.IsDir() && !slices.Contains(paths, f.Path) {
			t.Errorf("Since does not name %q", f.Path)
		}
		delete(was, f.Path)
	}
	for name, what := range was {
		if !strings.Contains(what, "drwx") && !slices.Contains(paths, name) {
			t.Errorf("Since does not name %q, which is gone", name)
		}
	}
}

// shared counts the summaries that a and b have in common, one level down.
func shared(a, b *summary) int {
	if a == b {
		return 1
	}
	n := 0
	for _, k := range b.all() {
		if k != nil && slices.Contains(a.all(), k) {
			n++
		}
	}
	return n
}

// withError returns t as it would be if the directory at name could not be read.
func withError(t *Tree, name string) *Tree {
	if name == "." {
		return t
	}
	var copied func(d *directory, rest string) *directory
	copied = func(d *directory, rest string) *directory {
		part, more, below := strings.Cut(rest, "/")
		i, ok := d.index(part)
		if !ok || d.item(i).dir == nil {
			return d
		}
		it := d.item(i)
		e := edit{draft: draft{name: part, stat: it.stat, dir: &directory{}}}
		if below {
			e.dir = copied(it.dir, more)
		} else {
			newPacker(0, 0).fill(e.dir, &fs.PathError{Op: "open", Path: name, Err: os.ErrPermission})
		}
		return d.edited([]edit{e})
	}
	return &Tree{root: t.root, seq: t.seq, top: copied(t.top, name), files: t.files}
}
