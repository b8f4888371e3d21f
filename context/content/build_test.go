package content_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/tonistiigi/fsutil/types"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/context/content"
	"github.com/stokerd/stoker/context/dockerfile"
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

// TestWorkers has more directories and files in one than may wait for a worker, and
// stops in the middle of them.
func TestWorkers(t *testing.T) {
	root := t.TempDir()
	for i := range 100 {
		dir := filepath.Join(root, fmt.Sprintf("dir%03d/below/deep", i))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, "file"), "in it")
	}
	if err := os.Mkdir(filepath.Join(root, "flat"), 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range 4500 {
		write(t, filepath.Join(root, fmt.Sprintf("flat/%04d", i)), fmt.Sprint(i))
	}
	l := look(t, root)
	m, work := l.manifest(later(), nil)
	if work.Files != 100*4+4501 {
		t.Errorf("%d files were looked into", work.Files)
	}
	builder := newSnapshot(t, "workers", t.TempDir())
	builder.receive(t, root, nil, nil)
	for _, name := range []string{"", "flat", "dir099"} {
		builder.compare(t, m, dockerfile.Selector{Path: name})
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	l = look(t, root)
	if _, _, err := content.Compute(ctx, l.selection.Main.Top(), nil, later()); !errors.Is(err, context.Canceled) {
		t.Errorf("without time got %v", err)
	}
	for _, name := range []string{"dir050/below/deep/file", "flat/3000"} {
		if err := os.Remove(filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
		_, _, err := content.Compute(t.Context(), l.selection.Main.Top(), nil, later())
		var unstable *content.UnstableError
		if !errors.As(err, &unstable) || unstable.Path != filepath.Join(root, name) {
			t.Errorf("got %v, want that %s changed", err, name)
		}
		write(t, filepath.Join(root, name), "another")
		l = look(t, root)
	}
}

// TestManyAttributes gives a file more of them than most have.
func TestManyAttributes(t *testing.T) {
	root := t.TempDir()
	a := file{Stat: &types.Stat{Path: "a", Mode: 0o644, Size: 4, Xattrs: map[string][]byte{}}, data: "text"}
	write(t, filepath.Join(root, "a"), "text")
	for i := range 60 {
		name := fmt.Sprintf("user.one-of-many-%02d", i)
		if err := unix.Lsetxattr(filepath.Join(root, "a"), name, []byte{byte(i)}, 0); err != nil {
			t.Fatal(err)
		}
		a.Xattrs[name] = []byte{byte(i)}
	}
	m, _ := look(t, root).manifest(later(), nil)
	newOracle(t, []file{a}).compare(t, m, dockerfile.Selector{})
}

// TestNamesHashedTwice has those that BuildKit comes by twice on disk.
func TestNamesHashedTwice(t *testing.T) {
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "a/\xff"), 0o755); err != nil {
		t.Skip("no such names here: ", err)
	}
	write(t, filepath.Join(root, "a/\xff/\xfe"), "1")
	write(t, filepath.Join(root, "a/\xff/\xff"), "2")
	dir := uint32(fs.ModeDir | 0o755)
	want := newOracle(t, []file{
		{Stat: &types.Stat{Path: "a", Mode: dir}},
		{Stat: &types.Stat{Path: "a/\xff", Mode: dir}},
		{Stat: &types.Stat{Path: "a/\xff/\xfe", Mode: 0o644, Size: 1}, data: "1"},
		{Stat: &types.Stat{Path: "a/\xff/\xff", Mode: 0o644, Size: 1}, data: "2"},
	})
	l := look(t, root)
	for range 2 { // with the entries at hand, and had from the tree
		m, _ := l.manifest(later(), nil)
		for _, name := range []string{"", "a"} {
			want.compare(t, m, dockerfile.Selector{Path: name})
		}
	}
}

// TestManifestMemory holds a manifest to next to nothing a file beside the tree
// that it is of.
func TestManifestMemory(t *testing.T) {
	const files = 12_000
	l := look(t, plainTree(t, files))
	l.manifest(later(), nil) // the sums are the tree's
	live := func() uint64 {
		runtime.GC()
		runtime.GC() // pools give up with the second one
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

// plainTree returns a directory with so many files, 12 in each of its directories.
func plainTree(t *testing.T, files int) (root string) {
	t.Helper()
	root = t.TempDir()
	for i := range files {
		dir := filepath.Join(root, fmt.Sprintf("part-%011d", i/12))
		if i%12 == 0 {
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		write(t, filepath.Join(dir, fmt.Sprintf("file-%07d.js", i)), "x")
	}
	return root
}

// BenchmarkManifest digests 200,000 files of 530 MB: all of them, as sha256sum
// does and a plain walk, and after one edit.
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
	b.Run("walk", func(b *testing.B) {
		for b.Loop() {
			if err := sumPlainly(root); err != nil {
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

// sumPlainly digests the files below root as one would without further thought, on
// as many processors as there are.
func sumPlainly(root string) error {
	names := make(chan string, 256)
	var group errgroup.Group
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() error {
			for name := range names {
				data, err := os.ReadFile(name)
				if err != nil {
					return err
				}
				sha256.Sum256(data)
			}
			return nil
		})
	}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			names <- name
		}
		return err
	})
	close(names)
	return errors.Join(err, group.Wait())
}
