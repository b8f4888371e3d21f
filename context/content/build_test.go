package content_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/context/content"
)

// later is a time at which every file of a test is old.
func later() time.Time { return time.Now().Add(time.Hour) }

// a looker looks at a directory of which all is sent.
type looker struct {
	t         testing.TB
	tree      *buildctx.Tree
	selection *buildctx.Selection
}

func look(t testing.TB, root string) *looker {
	t.Helper()
	l := &looker{t: t}
	var err error
	if l.tree, err = buildctx.Scan(t.Context(), root, nil); err != nil {
		t.Fatal(err)
	}
	def := buildctx.Definition{Context: root, Dockerfile: filepath.Join(t.TempDir(), "Dockerfile")}
	if err := os.WriteFile(def.Dockerfile, []byte("FROM scratch\nCOPY . /\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if l.selection, err = buildctx.Compute(t.Context(), def, nil, l.view); err != nil {
		t.Fatal(err)
	}
	return l
}

func (l *looker) view(string) (*buildctx.Tree, string, error) { return l.tree, ".", nil }

// again looks at the names once more.
func (l *looker) again(names ...string) {
	l.t.Helper()
	var err error
	if l.tree, _, err = l.tree.Apply(l.t.Context(), names, nil); err != nil {
		l.t.Fatal(err)
	}
	if l.selection, err = l.selection.Update(l.t.Context(), l.view); err != nil {
		l.t.Fatal(err)
	}
}

func (l *looker) manifest(now time.Time, before *content.Manifest) (*content.Manifest, content.Work) {
	l.t.Helper()
	m, work, err := content.Compute(l.t.Context(), l.selection.Main.Top(), before, now)
	if err != nil {
		l.t.Fatal(err)
	}
	return m, work
}

// TestNothingIsReadTwice counts the files that are looked into.
func TestNothingIsReadTwice(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"a/b/one", "a/b/two", "a/three", "four"} {
		_ = os.MkdirAll(filepath.Join(root, filepath.Dir(name)), 0o755)
		write(t, filepath.Join(root, name), name)
	}
	l := look(t, root)
	m, work := l.manifest(later(), nil)
	if want := (content.Work{Files: 6, Bytes: 25}); work != want {
		t.Errorf("at first: %+v, want %+v", work, want)
	}
	if _, work := l.manifest(later(), nil); work != (content.Work{}) {
		t.Errorf("with all known: %+v", work)
	}
	write(t, filepath.Join(root, "a/three"), "3")
	l.again("a/three")
	next, work := l.manifest(later(), m)
	if want := (content.Work{Files: 1, Bytes: 1}); work != want {
		t.Errorf("after an edit: %+v, want %+v", work, want)
	}
	if next.Digest() == m.Digest() {
		t.Error("the edit does not show")
	}

	// By the clock of the files all is young: another edit might not show.
	l = look(t, root)
	l.manifest(time.Now(), nil)
	if _, work := l.manifest(time.Now(), nil); work.Files != 6 {
		t.Errorf("with stamps that cannot be trusted: %+v, want all read again", work)
	}
}

// TestAFileThatChanged makes a file another one than the selection saw.
func TestAFileThatChanged(t *testing.T) {
	for name, change := range map[string]func(file string) error{
		"content": func(file string) error { return os.WriteFile(file, []byte("other"), 0o644) },
		"gone":    os.Remove,
		"replaced": func(file string) error {
			return errors.Join(os.WriteFile(file+"2", []byte("same"), 0o644), os.Rename(file+"2", file))
		},
		"linked": func(file string) error { return errors.Join(os.Remove(file), os.Symlink("/etc/passwd", file)) },
		"folder": func(file string) error { return errors.Join(os.Remove(file), os.Mkdir(file, 0o755)) },
		"mode":   func(file string) error { return os.Chmod(file, 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			file := filepath.Join(root, "file")
			write(t, file, "same")
			l := look(t, root)
			if err := change(file); err != nil {
				t.Fatal(err)
			}
			_, _, err := content.Compute(t.Context(), l.selection.Main.Top(), nil, later())
			var unstable *content.UnstableError
			if !errors.As(err, &unstable) || unstable.Path != file {
				t.Errorf("got %v, want that %s changed", err, file)
			}
		})
	}
}

// TestManifestMemory holds a manifest to next to nothing a file beside the tree
// that it is of.
func TestManifestMemory(t *testing.T) {
	root := t.TempDir()
	const files = 12_000
	for i := range files {
		dir := filepath.Join(root, fmt.Sprintf("part-%011d", i/12))
		if i%12 == 0 {
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		write(t, filepath.Join(dir, fmt.Sprintf("file-%07d.js", i)), "x")
	}
	l := look(t, root)
	l.manifest(later(), nil) // the sums are the tree's
	live := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := live()
	m, _ := l.manifest(later(), nil)
	after := live()
	runtime.KeepAlive(m)
	runtime.KeepAlive(l)
	each := float64(int64(after)-int64(before)) / files
	t.Logf("%.1f bytes a file", each)
	if each > 10 {
		t.Errorf("a manifest takes %.1f bytes a file, want at most 10", each)
	}
}

// BenchmarkManifest digests 200,000 files of 530 MB: all of them, as sha256sum
// does, and after one edit.
func BenchmarkManifest(b *testing.B) {
	root := b.TempDir()
	text := []byte(strings.Repeat("all work and no play makes jack a dull boy\n", 200))
	for i := range 200_000 {
		dir := filepath.Join(root, fmt.Sprintf("svc%03d/pkg%02d", i/1200, i/12%100))
		if i%12 == 0 {
			_ = os.MkdirAll(dir, 0o755)
		}
		data := fmt.Appendf(nil, "%d\n%s", i, text[:500+(i*7919)%4300])
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("file%06d.js", i)), data, 0o644); err != nil {
			b.Fatal(err)
		}
	}
	l := look(b, root)
	b.Run("sha256sum", func(b *testing.B) {
		for b.Loop() {
			if err := exec.Command("sh", "-c", `find "$0" -type f -print0 | xargs -0 -P2 sha256sum >/dev/null`, root).Run(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("first", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			l := look(b, root)
			b.StartTimer()
			_, work := l.manifest(later(), nil)
			b.ReportMetric(float64(work.Bytes)/1e6, "MB")
		}
	})
	m, _ := l.manifest(later(), nil)
	b.Run("known", func(b *testing.B) {
		for b.Loop() {
			l.manifest(later(), nil)
		}
	})
	b.Run("edit", func(b *testing.B) {
		for n := 0; b.Loop(); n++ {
			b.StopTimer()
			if err := os.WriteFile(filepath.Join(root, "svc000/pkg00/file000003.js"), make([]byte, 100+n), 0o644); err != nil {
				b.Fatal(err)
			}
			l.again("svc000/pkg00/file000003.js")
			b.StartTimer()
			m, _ = l.manifest(later(), m)
			if _, err := m.Content(nil); err != nil {
				b.Fatal(err)
			}
		}
	})
}
