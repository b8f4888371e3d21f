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

// A tree is a directory tree in memory that fsutil can walk. It records which
// directories the walk was told to skip.
type tree struct {
	names   map[string][]string // by directory, "" for the root: its names, sorted
	skipped []string
}

var _ fsutil.FS = (*tree)(nil)

// newTree returns the tree with these paths. One that has another below it is a
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

// An outcome is what a walk did: the paths that passed, and the directories that it
// skipped.
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

// ours walks t with states. With include the patterns say what passes, otherwise
// what does not.
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
					passes = true // the parent of a path that passes does too
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

// refused reports whether BuildKit would reject one of the patterns when it matches
// it.
func refused(patterns []string) bool {
	for _, p := range patterns {
		// An exception is only matched against what is excluded.
		for _, list := range [][]string{{p}, {"**", p}} {
			if _, _, err := match(list, "x"); err != nil {
				return true
			}
		}
	}
	return false
}

// newMatcher compiles patterns as they are. It returns nil if both sides refuse them.
func newMatcher(t *testing.T, patterns []string) *ignore.Matcher {
	t.Helper()
	f := &ignore.File{}
	for i, p := range patterns {
		f.Lines = append(f.Lines, ignore.Line{Number: i + 1, Pattern: p})
	}
	m, err := ignore.NewMatcher(f)
	if (err != nil) != refused(patterns) {
		t.Fatalf("NewMatcher of %q: %v; BuildKit refuses the patterns: %v", patterns, err, err == nil)
	}
	return m
}

// compare walks tr with fsutil and with states, for both uses of patterns, and
// returns the outcome for patterns that exclude.
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

// compareAlone compares the answers for each path by itself with those of
// patternmatcher. It must follow compare, which fills tr.skipped.
func compareAlone(t *testing.T, m *ignore.Matcher, patterns []string, tr *tree) {
	t.Helper()
	pm, err := patternmatcher.New(patterns)
	if err != nil {
		t.Fatal(err)
	}
	tr.alone(t, m, pm, "", patternmatcher.MatchInfo{}, m.Root(), false)
}

// alone is compareAlone for the paths below dir. info and s are the states of both
// sides there, and pruned says that a walk does not get there.
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
		// A file that passes is opened only if this says no (fsutil: filterFS.Open).
		closed, err := pm.MatchesOrParentMatches(filepath.FromSlash(p))
		if err != nil {
			tt.Fatal(err)
		}
		if got := m.Withheld(s, name); got != closed {
			tt.Errorf("Withheld(%q) = %v, want %v", p, got, closed)
		}
	}
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

// TestWalk compares walks by states with fsutil's own filter, and answers for single
// paths with patternmatcher's, over random trees and patterns.
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
			// This half of the comparison is expensive, so it gets a sample.
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
	// If the generator drifts, most cases may end up comparing nothing.
	if drawn > 1000 && (taken < drawn*8/10 || skipped < taken/8 || passed < taken) {
		t.Errorf("%d of %d cases, with %d directories skipped and %d paths passed: that compares too little", taken, drawn, skipped, passed)
	}
	t.Logf("%d cases, %d directories skipped, %d paths passed", taken, skipped, passed)
}
