package changes_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stokerd/stoker/internal/changes"
)

// shape is what of a log can be seen: each commit's paths with their flips.
func shape(l *changes.Log) []string {
	var list []string
	for i, deltas := range l.All() {
		text := fmt.Sprint(i, ":")
		for _, d := range deltas {
			text += fmt.Sprintf(" %s=%x", l.Paths()[d.Path], d.Flip)
		}
		list = append(list, text)
	}
	first, last := l.Span()
	return append(list, fmt.Sprint(l.Len(), first, last, l.Head()))
}

// TestExtend holds that a log which is extended is the log that is read anew,
// whatever happened to the history in between.
func TestExtend(t *testing.T) {
	dir := t.TempDir()
	run(t, dir, "init", "-q")
	n := 0
	commit := func(name string) {
		n++
		write(t, dir, name, fmt.Sprint(n))
		run(t, dir, "add", "-A")
		run(t, dir, "commit", "-q", "-m", "c")
	}
	read := func(known *changes.Log, limit int) *changes.Log {
		t.Helper()
		l, err := changes.Extend(t.Context(), open(t, dir), known, limit)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	for _, name := range []string{"a", "b", "a", "c/d"} {
		commit(name)
	}
	known := map[int]*changes.Log{}
	for _, limit := range []int{2, 4, 100} {
		known[limit] = read(nil, limit)
	}
	for _, step := range []struct {
		name string
		do   func()
	}{
		{"nothing", func() {}},
		{"commits", func() { commit("a"); commit("e") }},
		{"a merge", func() {
			run(t, dir, "checkout", "-q", "-b", "side")
			commit("f")
			run(t, dir, "checkout", "-q", "main")
			commit("a")
			run(t, dir, "merge", "-q", "--no-edit", "side")
		}},
		{"an amended commit", func() { run(t, dir, "commit", "-q", "--amend", "-m", "other") }},
		{"a step back", func() { run(t, dir, "reset", "-q", "--hard", "HEAD~2") }},
		{"another branch", func() { run(t, dir, "checkout", "-q", "side") }},
	} {
		step.do()
		for limit, old := range known {
			known[limit] = read(old, limit)
			if diff := cmp.Diff(shape(read(nil, limit)), shape(known[limit].Last(limit))); diff != "" {
				t.Errorf("after %s, %d commits (-anew +extended):\n%s", step.name, limit, diff)
			}
		}
	}
}

// TestExtendShallow holds that the log of a shallow clone becomes longer with the clone, even
// though its last commit stays the same.
func TestExtendShallow(t *testing.T) {
	dir := t.TempDir()
	run(t, dir, "init", "-q")
	for i := range 6 {
		write(t, dir, "a", fmt.Sprint(i))
		run(t, dir, "add", "-A")
		run(t, dir, "commit", "-q", "-m", "c")
	}
	clone := filepath.Join(t.TempDir(), "clone")
	run(t, dir, "clone", "-q", "--depth=2", "file://"+dir, clone)
	var known *changes.Log
	for _, step := range []struct {
		fetch   string
		commits int
		shallow bool
	}{{"", 2, true}, {"--depth=4", 4, true}, {"--unshallow", 6, false}} {
		if step.fetch != "" {
			run(t, clone, "fetch", "-q", step.fetch)
		}
		var err error
		if known, err = changes.Extend(t.Context(), open(t, clone), known, 100); err != nil {
			t.Fatal(err)
		}
		if known.Len() != step.commits || known.Shallow() != step.shallow {
			t.Errorf("after fetch %s: %d commits, shallow %v; want %d, %v", step.fetch, known.Len(), known.Shallow(), step.commits, step.shallow)
		}
	}
}

// TestLogOfSubmodules holds that a submodule is a path of its own kind, also where it takes the
// place of a folder or a file, and that its content comes back with its commit.
func TestLogOfSubmodules(t *testing.T) {
	dir, lib := t.TempDir(), t.TempDir()
	run(t, lib, "init", "-q")
	commit := func(dir string) {
		run(t, dir, "add", "-A")
		run(t, dir, "commit", "-q", "--allow-empty", "-m", "c")
	}
	commit(lib)
	commit(lib)
	run(t, dir, "init", "-q")
	write(t, dir, "lib", "a file\n")
	write(t, dir, "main.c", "1\n")
	commit(dir)
	run(t, dir, "rm", "-q", "lib")
	for _, of := range []string{"HEAD", "HEAD~1", "HEAD"} {
		id := run(t, lib, "rev-parse", of)
		run(t, dir, "update-index", "--add", "--cacheinfo", "160000,"+id+",lib")
		run(t, dir, "commit", "-q", "-m", "c")
	}
	l, err := changes.Extend(t.Context(), open(t, dir), nil, 10)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	var now [2]uint64 // of the submodule
	seen := map[[2]uint64]string{}
	for i, deltas := range l.All() {
		text := ""
		for _, d := range deltas {
			text += l.Paths()[d.Path] + " "
			if l.Paths()[d.Path] == "lib/" {
				now[0], now[1] = now[0]^d.Flip[0], now[1]^d.Flip[1]
			}
		}
		if at, ok := seen[now]; ok {
			text += "as in " + at
		} else {
			seen[now] = fmt.Sprint(i)
		}
		got = append(got, text)
	}
	if diff := cmp.Diff([]string{"lib main.c ", "lib lib/ ", "lib/ ", "lib/ as in 1"}, got); diff != "" {
		t.Errorf("paths of each commit (-want +got):\n%s", diff)
	}
}

func TestLogOfNothing(t *testing.T) {
	var none *changes.Log
	for _, l := range []*changes.Log{none, changes.NewLog(nil)} {
		if l.Len() != 0 || len(l.Paths()) != 0 || l.Touching(func(string) bool { return true }) != 0 || l.Last(3).Len() != 0 {
			t.Errorf("%v is not a log of nothing", l)
		}
	}
}
