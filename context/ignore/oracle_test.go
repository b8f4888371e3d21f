package ignore_test

import (
	"context"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/patternmatcher"
	"github.com/tonistiigi/fsutil"
	"github.com/tonistiigi/fsutil/types"

	"github.com/stokerd/stoker/context/ignore"
	"github.com/stokerd/stoker/internal/randtest"
)

// A tree is a made-up directory tree that fsutil can walk. It notes which
// directories the walk is told to go past.
type tree struct {
	names   map[string][]string // by directory, "" for the root: what is in there, in order
	skipped []string
}

var _ fsutil.FS = (*tree)(nil)

// newTree makes the tree that holds paths; what has something below it is a
// directory.
func newTree(paths []string) *tree {
	t := &tree{names: map[string][]string{"": nil}}
	for _, p := range paths {
		for p != "" {
			dir, name := "", p
			if i := strings.LastIndexByte(p, '/'); i >= 0 {
				dir, name = p[:i], p[i+1:]
			}
			if !slices.Contains(t.names[dir], name) {
				t.names[dir] = append(t.names[dir], name)
			}
			p = dir
		}
	}
	for _, list := range t.names {
		slices.Sort(list)
	}
	return t
}

func (t *tree) Open(string) (io.ReadCloser, error) { return nil, fs.ErrInvalid }

func (t *tree) Walk(_ context.Context, _ string, fn fs.WalkDirFunc) error { return t.walk("", fn) }

func (t *tree) walk(dir string, fn fs.WalkDirFunc) error {
	for _, name := range t.names[dir] {
		p := path.Join(dir, name)
		mode := fs.FileMode(0o644)
		if t.names[p] != nil {
			mode = fs.ModeDir | 0o755
		}
		entry := &fsutil.DirEntryInfo{Stat: &types.Stat{Path: filepath.FromSlash(p), Mode: uint32(mode)}}
		err := fn(filepath.FromSlash(p), entry, nil)
		if err == filepath.SkipDir {
			t.skipped = append(t.skipped, p)
			continue
		}
		if err == nil && mode.IsDir() {
			err = t.walk(p, fn)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// An outcome is what a walk did: the paths it passed on, and the directories it
// went past.
type outcome struct{ Passed, Skipped []string }

// fsutil walks t through BuildKit's filter.
func (t *tree) fsutil(opt *fsutil.FilterOpt) (outcome, error) {
	t.skipped = nil
	filter, err := fsutil.NewFilterFS(t, opt)
	if err != nil {
		return outcome{}, err
	}
	var o outcome
	err = filter.Walk(context.Background(), "/", func(p string, _ fs.DirEntry, err error) error {
		o.Passed = append(o.Passed, filepath.ToSlash(p))
		return err
	})
	slices.Sort(o.Passed)
	o.Skipped = t.skipped
	return o, err
}

// ours walks t with states; include says that the patterns name what to take.
func (t *tree) ours(tt *testing.T, m *ignore.Matcher, include bool) outcome {
	tt.Helper()
	var o outcome
	var visit func(dir string, s ignore.State) bool
	visit = func(dir string, s ignore.State) bool {
		some := false
		for _, name := range t.names[dir] {
			p := path.Join(dir, name)
			passes := m.Match(s, name) == include
			if t.names[p] != nil {
				below := m.Enter(s, name)
				if below.Matched() != m.Match(s, name) {
					tt.Errorf("Match and Enter disagree about %q", p)
				}
				if include && below.Missed() || !include && below.Pruned() {
					o.Skipped = append(o.Skipped, p)
				} else if visit(p, below) {
					passes = true // the parent of what passes comes with it
				}
			}
			if passes {
				o.Passed = append(o.Passed, p)
				some = true
			}
		}
		return some
	}
	visit("", m.Root())
	slices.Sort(o.Passed)
	return o
}

// refused reports whether BuildKit would refuse one of the patterns when it
// comes to use it.
func refused(patterns []string) bool {
	for _, p := range patterns {
		// An exception is only used against what is excluded.
		for _, list := range [][]string{{p}, {"**", p}} {
			if _, _, err := match(list, "x"); err != nil {
				return true
			}
		}
	}
	return false
}

// newMatcher compiles patterns as they stand; nil if they are refused.
func newMatcher(t *testing.T, patterns []string) *ignore.Matcher {
	t.Helper()
	f := &ignore.File{}
	for i, p := range patterns {
		f.Lines = append(f.Lines, ignore.Line{Number: i + 1, Pattern: p})
	}
	m, err := ignore.NewMatcher(f)
	if (err != nil) != refused(patterns) {
		t.Fatalf("patterns %q: error is %v, but refused by BuildKit: %v", patterns, err, err == nil)
	}
	return m
}

// compare walks t by fsutil and by us, for both uses of patterns.
func compare(t *testing.T, m *ignore.Matcher, patterns []string, tr *tree) outcome {
	t.Helper()
	var result outcome
	for _, include := range []bool{true, false} {
		opt := &fsutil.FilterOpt{ExcludePatterns: patterns}
		if include {
			opt = &fsutil.FilterOpt{IncludePatterns: patterns}
		}
		want, err := tr.fsutil(opt)
		if err != nil {
			t.Fatal(err)
		}
		result = tr.ours(t, m, include)
		if diff := cmp.Diff(want, result); diff != "" {
			t.Fatalf("patterns %q as includes: %v (-fsutil +ours):\n%s", patterns, include, diff)
		}
	}
	return result
}

// compareAlone asks for each path by itself; compare went before.
func compareAlone(t *testing.T, m *ignore.Matcher, patterns []string, tr *tree) {
	t.Helper()
	pm, err := patternmatcher.New(patterns)
	if err != nil {
		t.Fatal(err)
	}
	tr.alone(t, m, pm, "", patternmatcher.MatchInfo{}, m.Root(), false)
}

// alone asks for each path below dir.
func (t *tree) alone(tt *testing.T, m *ignore.Matcher, pm *patternmatcher.PatternMatcher, dir string, info patternmatcher.MatchInfo, s ignore.State, pruned bool) {
	tt.Helper()
	for _, name := range t.names[dir] {
		p := path.Join(dir, name)
		want, below, err := pm.MatchesUsingParentResults(filepath.FromSlash(p), info)
		if err != nil {
			tt.Fatal(err)
		}
		pruned := pruned || t.names[p] != nil && slices.Contains(t.skipped, p)
		if got := m.Ignored(p); got != (want || pruned) {
			tt.Errorf("Ignored(%q) = %v, want %v", p, got, want || pruned)
		}
		if d := m.Explain(p); d.Ignored != (want || pruned) || d.Ignored && d.By.Number == 0 {
			tt.Errorf("Explain(%q) = %+v, want ignored: %v", p, d, want || pruned)
		}
		if t.names[p] != nil {
			if got := prunes(m, p); got != pruned {
				tt.Errorf("prunes(%q) = %v, want %v", p, got, pruned)
			}
			t.alone(tt, m, pm, p, below, m.Enter(s, name), pruned)
			continue
		}
		if want || pruned {
			continue
		}
		// What passes is opened only if this says no (fsutil: filterFS.Open).
		closed, err := pm.MatchesOrParentMatches(filepath.FromSlash(p))
		if err != nil {
			tt.Fatal(err)
		}
		if got := m.Withheld(s, name); got != closed {
			tt.Errorf("Withheld(%q) = %v, want %v", p, got, closed)
		}
	}
}

// silence keeps what patternmatcher's scanner prints for patterns that are not
// UTF-8 out of the test's output.
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

// TestWalk holds states against fsutil's own filter, and single paths against
// patternmatcher, on drawn trees and patterns.
func TestWalk(t *testing.T) {
	silence(t)
	const perTree = 8
	var drawn, taken, skipped, passed int
	for seed := range randtest.Seeds(t, 6_000/perTree, 100_000/perTree) {
		g := generator{rand.New(rand.NewPCG(seed, 1))}
		tr := g.tree()
		for range perTree {
			drawn++
			patterns := make([]string, 1+g.IntN(5))
			for i := range patterns {
				patterns[i] = g.pattern(tr)
			}
			if g.IntN(4) == 0 {
				patterns = append(patterns, g.again(tr)...)
			}
			m := newMatcher(t, patterns)
			if m == nil {
				continue
			}
			o := compare(t, m, patterns, tr)
			// The dearer half of the comparison needs no more than a share.
			if taken%4 == 0 {
				compareAlone(t, m, patterns, tr)
			}
			if t.Failed() {
				t.Fatalf("seed %d, patterns %q", seed, patterns)
			}
			taken++
			skipped += len(o.Skipped)
			passed += len(o.Passed)
		}
	}
	// A drift of the generator would leave nothing to compare.
	if drawn > 1000 && (taken < drawn*8/10 || skipped < taken/8 || passed < taken) {
		t.Errorf("%d cases with %d directories skipped and %d paths passed", taken, skipped, passed)
	}
	t.Logf("%d cases, %d directories skipped, %d paths passed", taken, skipped, passed)
}
