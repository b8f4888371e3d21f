package buildctx

import (
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
	"github.com/tonistiigi/fsutil"
	"github.com/tonistiigi/fsutil/types"

	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/context/ignore"
	"github.com/stokerd/stoker/internal/randtest"
)

// TestEqualsFsutil compares selections with the walks of BuildKit's client:
// fsutil's filter over the disk, with the ignore file as BuildKit reads it and
// the paths of random COPY instructions. Both must yield the same entries in the
// same order, parent directories included, with the same bytes, and must reject
// the same patterns.
func TestEqualsFsutil(t *testing.T) {
	silence(t)
	const ignoreFiles, copies = 4, 5 // ignore files per directory, COPYs per ignore file
	const each = ignoreFiles * copies
	base, did := t.TempDir(), tally{}
	for seed := range randtest.Seeds(t, 20_800/each, 200_000/each) {
		d := newDifferential(t, seed, filepath.Join(base, fmt.Sprint(seed)))
		for range ignoreFiles {
			d.text = d.ignoreFile()
			if !d.parse(t) {
				did.cases += copies
				did.refused += copies
				continue
			}
			lines, _, total, err := walked(t, d.disk, d.patterns, nil)
			if err != nil {
				t.Fatal(err)
			}
			for range copies {
				d.requests = [][]string{d.copied()}
				if d.IntN(4) == 0 {
					d.requests = append(d.requests, d.copied())
				}
				did.cases++
				did.entries += len(lines)
				l := d.compare(t, lines, total)
				switch {
				case l == nil:
					did.refused++
				case l.Sent != l.Context:
					did.narrowed++
				}
			}
		}
		if err := os.RemoveAll(d.root); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%+v", did)
	// If the generators drift, most cases may end up comparing nothing.
	if n := did.cases; n > 1000 && (did.refused > n/5 || did.refused == 0 || did.entries < 3*n || did.narrowed < n/4) {
		t.Errorf("the cases compare too little: %+v", did)
	}
}

// A tally counts the cases, those that both sides refused, the entries of all
// contexts, and the cases in which less than the context was sent.
type tally struct{ cases, refused, entries, narrowed int }

// A differential is a directory as both sides see it, with an ignore file and the
// requests of a build.
type differential struct {
	*sketch
	seed     uint64
	disk     fsutil.FS
	tree     *Tree
	text     string       // of the ignore file
	patterns []string     // as BuildKit reads it
	file     *ignore.File // as stoker does
	requests [][]string   // paths of COPY instructions
}

func newDifferential(t *testing.T, seed uint64, root string) *differential {
	t.Helper()
	d := &differential{seed: seed, sketch: newSketch(t, rand.New(rand.NewPCG(seed, 5)), root)}
	var err error
	if d.disk, err = fsutil.NewFS(root); err != nil {
		t.Fatal(err)
	}
	if d.tree, err = Scan(t.Context(), root, nil); err != nil {
		t.Fatal(err)
	}
	return d
}

// parse reads the ignore file on both sides. It returns false if both refuse it.
func (d *differential) parse(t *testing.T) bool {
	t.Helper()
	var err error
	if d.patterns, err = ignorefile.ReadAll(strings.NewReader(d.text)); err != nil {
		t.Fatal(err)
	}
	d.file, err = ignore.Parse(".dockerignore", []byte(d.text))
	if (err == nil) != accepts(d.patterns) {
		t.Fatalf("seed %d: ignore file %q: stoker says %v, BuildKit takes it: %v", d.seed, d.text, err, err != nil)
	}
	return err == nil
}

// compare compares stoker's selection with fsutil's effective context, lines and
// total, and returns it, or nil if the paths are refused.
func (d *differential) compare(t *testing.T, lines []string, total Size) *Local {
	t.Helper()
	l, err := d.selected(t)
	if err != nil {
		d.bothRefuse(t, err)
		return nil
	}
	var got, sent []string
	for f := range l.All() {
		got = append(got, fact(f.Path, f.Mode, f.Bytes))
		if f.Sent {
			sent = append(sent, f.Path)
		}
	}
	d.equal(t, "effective context", lines, got)
	d.equal(t, "its size", total, l.Context)
	d.compareSent(t, sent, l.Sent)
	return l
}

// selected returns stoker's selection.
func (d *differential) selected(t *testing.T) (*Local, error) {
	t.Helper()
	m, err := ignore.NewMatcher(d.file)
	if err != nil {
		return nil, err
	}
	var list []dockerfile.Request
	for _, r := range d.requests {
		list = append(list, dockerfile.Request{FollowPaths: r})
	}
	f, err := newFilter(m, &treeFS{top: d.tree.top, root: d.root}, list, nil)
	if err != nil {
		return nil, err
	}
	l := &Local{Name: dockerfile.MainContext, Root: d.root, Ignore: d.file, takers: &takers{}}
	return l, l.fill(t.Context(), d.tree.top, f)
}

// compareSent compares what is sent with one walk per request. An entry for which
// several requests ask is sent once.
func (d *differential) compareSent(t *testing.T, sent []string, size Size) {
	t.Helper()
	var want []string
	for _, r := range d.requests {
		_, names, total, err := walked(t, d.disk, d.patterns, r)
		if err != nil {
			t.Fatal(err)
		}
		if want = append(want, names...); len(d.requests) == 1 {
			d.equal(t, "size of what is sent", total, size)
			d.equal(t, "sent", want, sent)
			return
		}
	}
	slices.SortFunc(want, func(a, b string) int { // as a walk comes by
		return slices.Compare(strings.Split(a, "/"), strings.Split(b, "/"))
	})
	d.equal(t, "sent", slices.Compact(want), sent)
}

// bothRefuse fails the test if only stoker refuses the paths.
func (d *differential) bothRefuse(t *testing.T, refusal error) {
	t.Helper()
	for _, r := range d.requests {
		patterns, err := fsutil.FollowLinks(d.disk, r)
		if err != nil || !accepts(patterns) {
			return
		}
	}
	t.Fatalf("seed %d: paths %q: stoker says %v, BuildKit takes them", d.seed, d.requests, refusal)
}

func (d *differential) equal(t *testing.T, what string, fsutil, stoker any) {
	t.Helper()
	if reflect.DeepEqual(fsutil, stoker) {
		return
	}
	t.Fatalf("seed %d: %s (-fsutil +stoker):\n%s\nignore file: %q\npaths: %q\n%v", d.seed, what,
		cmp.Diff(fsutil, stoker), d.text, d.requests, d.sketch)
}

// accepts reports whether BuildKit accepts the patterns. It rejects some only when
// it matches them, and an exception is matched only against what is excluded.
func accepts(patterns []string) bool {
	for _, p := range patterns {
		for _, list := range [][]string{{p}, {"**", p}} {
			if _, err := patternmatcher.MatchesOrParentMatches("x", list); err != nil {
				return false
			}
		}
	}
	return true
}

// walked lists what BuildKit's filter passes, in its order: the [fact] and the name
// of each entry, and the total size.
func walked(t *testing.T, files fsutil.FS, excludes, follow []string) (lines, names []string, total Size, err error) {
	t.Helper()
	passed, err := fsutil.NewFilterFS(unopened{files}, &fsutil.FilterOpt{ExcludePatterns: excludes, FollowPaths: follow})
	if err != nil {
		return nil, nil, Size{}, err
	}
	err = passed.Walk(t.Context(), "/", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		st, bytes := fi.Sys().(*types.Stat), int64(0)
		if fi.Mode().IsRegular() && st.Linkname == "" {
			// The client lists files that it then does not open: they arrive empty.
			if _, err := passed.Open(name); err == nil {
				bytes = st.Size
			}
		}
		name = filepath.ToSlash(name)
		lines, names = append(lines, fact(name, fi.Mode(), bytes)), append(names, name)
		if !fi.IsDir() {
			total.Files++
			total.Bytes += bytes
		}
		return nil
	})
	return lines, names, total, err
}

// unopened files open without content, since it only matters whether they are opened.
type unopened struct{ fsutil.FS }

func (unopened) Open(string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("")), nil }

// fact describes what must be equal about an entry. A socket is sent as an empty
// file (fsutil: mkstat).
func fact(name string, mode fs.FileMode, bytes int64) string {
	return fmt.Sprintf("%q %v %d", name, mode&^fs.ModeSocket, bytes)
}

// silence discards what patternmatcher prints to os.Stderr for patterns that are
// not UTF-8.
func silence(tb testing.TB) {
	tb.Helper()
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		tb.Fatal(err)
	}
	stderr := os.Stderr
	os.Stderr = null
	tb.Cleanup(func() {
		os.Stderr = stderr
		null.Close()
	})
}
