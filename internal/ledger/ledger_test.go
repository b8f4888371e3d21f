package ledger_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/cache/buildkit"
	"github.com/stokerd/stoker/internal/ledger"
)

func seal(digest string) string {
	sum := sha256.Sum256([]byte("key " + digest))
	return string(sum[:16])
}

var noon = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

// graph is a base image, a local context, a RUN, a COPY, and a COPY of what the
// first two give, in a stage of its own.
func graph(command, files string) (cache.Graph, []string) {
	return cache.Graph{
		Nodes: []cache.Node{
			{Digests: []string{"sha256:base"}},
			{},
			{Digests: []string{"sha256:" + command}, Inputs: []cache.Input{{Node: 0}}, Steps: []int{0}},
			{Digests: []string{"sha256:copy"}, Inputs: []cache.Input{
				{Node: 2}, {Node: 1, Selector: "sha256:selector", ByContent: true, Content: "sha256:" + files},
			}, Steps: []int{1}},
			{Digests: []string{"sha256:take"}, Inputs: []cache.Input{
				{Node: 0}, {Node: 3, Selector: "sha256:other", ByContent: true},
			}, Steps: []int{2}},
		},
		Targets: []int{4},
	}, []string{"", "", "record of " + command, "record of copy", "record of take"}
}

// ran is a build at a minute in which everything ran, and what the builder lists
// of it.
func ran(minute int, command, files string) (ledger.Build, []buildkit.Held) {
	g, records := graph(command, files)
	b := ledger.Build{Graph: g, Fates: make([]cache.Fate, 5), Runs: make([]buildkit.Run, 5), Records: records}
	var held []buildkit.Held
	for i := 2; i < 5; i++ {
		at := noon.Add(time.Duration(minute)*time.Minute + time.Duration(i)*time.Second)
		b.Fates[i], b.Runs[i] = cache.Made, buildkit.Run{Started: at, Completed: at.Add(time.Second)}
		held = append(held, buildkit.Held{Record: records[i], Created: at.Add(time.Second / 5), Used: at.Add(time.Second)})
	}
	return b, held
}

func forecasts(l *ledger.Ledger, command, files string) string {
	g, records := graph(command, files)
	var list []string
	for _, p := range l.Predict(g, records)[2:] {
		list = append(list, string(p.Forecast))
	}
	return strings.Join(list, " ")
}

func reload(t *testing.T, on ledger.Disk) *ledger.Ledger {
	t.Helper()
	l, err := ledger.Load(seal, maps.All(on))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// What was kept predicts as what was not, once the builder has listed what it
// holds; before that it promises nothing.
func TestKept(t *testing.T) {
	l, on := ledger.New(seal), ledger.Disk{}
	first, held := ran(0, "run", "a")
	second, more := ran(1, "run", "b")
	second.Fates[2] = cache.Loaded
	held = append(held, more[1:]...)
	for _, b := range []ledger.Build{first, second} {
		l.Learn(b)
	}
	l.List(held)
	if err := l.Save(on.Put); err != nil {
		t.Fatal(err)
	}
	states := [][3]string{
		{"run", "a", "hit hit hit"}, {"run", "b", "hit hit hit"},
		{"run", "c", "hit miss unknown"}, {"other", "a", "miss miss unknown"},
	}
	kept := reload(t, on)
	for _, s := range states {
		if got := forecasts(kept, s[0], s[1]); strings.Contains(got, "hit") || strings.Contains(got, "miss") {
			t.Errorf("%v before the builder listed anything: %s", s[:2], got)
		}
	}
	kept.List(held)
	for _, s := range states {
		for name, l := range map[string]*ledger.Ledger{"before": l, "after": kept} {
			if got := forecasts(l, s[0], s[1]); got != s[2] {
				t.Errorf("%v %s a restart: %s, want %s", s[:2], name, got, s[2])
			}
		}
	}

	// Somebody pruned, and built something while nobody looked.
	kept = reload(t, on)
	unseen, fresh := ran(9, "other", "a")
	kept.List(append(held[:0:0], fresh...))
	if got := forecasts(kept, "run", "b"); got != "unknown unknown unknown" {
		t.Errorf("after a prune and a build that was not seen: %s, want unknown unknown unknown", got)
	}
	if got := forecasts(kept, unseen.Records[2][len("record of "):], "a"); strings.Contains(got, "miss") {
		t.Errorf("what was built while nobody looked is predicted %s, want no miss", got)
	}
}

// What is kept follows what a build teaches, holds nothing of BuildKit's digests,
// and is given again if it could not be kept.
func TestChanges(t *testing.T) {
	l, on := ledger.New(seal), ledger.Disk{}
	for minute := range 50 {
		b, _ := ran(minute, "run", fmt.Sprint("files", minute))
		if minute > 0 {
			b.Fates[2] = cache.Loaded
		}
		l.Learn(b)
		if err := l.Save(func(bool, iter.Seq2[string, []byte]) error { return errors.New("disk full") }); err == nil {
			t.Fatal("an error of the disk is lost")
		}
		n := 0
		err := l.Save(func(anew bool, changes iter.Seq2[string, []byte]) error {
			for key, value := range changes {
				n++
				if bytes.Contains([]byte(key+string(value)), []byte("sha256:")) || bytes.Contains([]byte(key+string(value)), []byte("record of")) {
					t.Errorf("%q = %q is not sealed", key, value)
				}
			}
			return on.Put(anew, changes)
		})
		if err != nil {
			t.Fatal(err)
		}
		if minute > 0 && n > 20 {
			t.Errorf("build %d changed %d entries of %d", minute, n, len(on))
		}
	}
	again, _ := ran(49, "run", "files49")
	again.Fates = []cache.Fate{cache.Untouched, cache.Untouched, cache.Untouched, cache.Untouched, cache.Loaded}
	size := len(on)
	l.Learn(again)
	err := l.Save(func(_ bool, changes iter.Seq2[string, []byte]) error {
		for key, value := range changes {
			t.Errorf("a build that taught nothing changed %q to %q of %d", key, value, size)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// An answer of the builder's from before a build says nothing of its results.
func TestAnswerFromBefore(t *testing.T) {
	l := ledger.New(seal)
	enter := l.Asking()
	b, held := ran(0, "run", "a")
	l.Learn(b)
	enter(nil)
	if got := forecasts(l, "run", "a"); got != "unknown unknown unknown" || l.Listed() {
		t.Errorf("predicted %s, want unknown unknown unknown; listed: %v", got, l.Listed())
	}
	l.List(held)
	if !l.Listed() {
		t.Error("what the builder holds is not known although it was asked again")
	}
	if got := forecasts(l, "run", "a"); got != "hit hit hit" {
		t.Errorf("once it was asked again, predicted %s, want hit hit hit", got)
	}
}

func FuzzLoad(f *testing.F) {
	l := ledger.New(seal)
	b, held := ran(0, "run", "a")
	l.Learn(b)
	l.List(held)
	_ = l.Save(func(_ bool, changes iter.Seq2[string, []byte]) error {
		for key, value := range changes {
			f.Add([]byte(key), value)
		}
		return nil
	})
	f.Fuzz(func(t *testing.T, key, value []byte) {
		l, err := ledger.Load(seal, func(yield func(string, []byte) bool) { yield(string(key), value) })
		if l == nil {
			t.Fatalf("Load returned no ledger beside the error %v", err)
		}
		l.List(held)
		forecasts(l, "run", "a")
	})
}

// TestBroken: of a build that did not succeed what it made is known, and nothing is
// concluded from what it did not come to; where its files are not known, what it left
// behind is nobody's.
func TestBroken(t *testing.T) {
	for _, c := range []struct {
		name    string
		unknown cache.Uncertainty // of the files that the broken build had
		same    string            // as the broken build
		other   string            // with other files again
		failed  string            // of a step that failed, when it is tried again
	}{
		{"files known", "", "hit hit", "hit miss", "miss"},
		{"files not known", cache.NotRead, "hit unknown", "hit unknown", "unknown"},
	} {
		l := ledger.New(seal)
		first, held := ran(0, "make", "a")
		l.Learn(first)
		l.List(held)
		broken, made := ran(1, "make", "b")
		broken.Broken = true
		broken.Fates[2], broken.Fates[4] = cache.Loaded, cache.Untouched
		broken.Graph.Nodes[3].Unknown = c.unknown
		l.Learn(broken)
		l.List(append(held, made[1]))
		first2 := func(files string) string { return strings.Join(strings.Fields(forecasts(l, "make", files))[:2], " ") }
		if got := first2("b"); got != c.same {
			t.Errorf("%s: the same again is %s, want %s", c.name, got, c.same)
		}
		if got := first2("c"); got != c.other {
			t.Errorf("%s: with other files it is %s, want %s", c.name, got, c.other)
		}
		failed, _ := ran(2, "fail", "a")
		failed.Broken = true
		failed.Fates[2], failed.Fates[3], failed.Fates[4] = cache.Untouched, cache.Untouched, cache.Untouched
		l.Learn(failed)
		l.List(append(held, made[1]))
		if got, _, _ := strings.Cut(forecasts(l, "fail", "a"), " "); got != c.failed {
			t.Errorf("%s: the step that failed is %s, want %s", c.name, got, c.failed)
		}
	}
}

// TestLacks: a list that has less than the one before, or not what a build made or took since,
// may have missed what is there.
func TestLacks(t *testing.T) {
	_, held := ran(0, "run", "a")
	moved := slices.Clone(held)
	moved[0].Created = moved[0].Created.Add(time.Second)
	b, more := ran(9, "other", "a")
	all := slices.Concat(held, more)
	again, late := used(held, 9), took(9, "run", "a")
	late.Late = true
	for what, tt := range map[string]struct {
		learn []ledger.Build // since held was listed
		list  []buildkit.Held
		want  bool
	}{
		"the same":                  {nil, held, false},
		"with another time":         {nil, moved, false},
		"more":                      {nil, append(moved, held[1]), false},
		"less":                      {nil, held[1:], true},
		"after a build":             {[]ledger.Build{b}, all, false},
		"without what a build made": {[]ledger.Build{b}, all[:5], true},
		"with another instead":      {[]ledger.Build{b}, append(all[:5:5], moved[2]), true},
		"after a reuse":             {[]ledger.Build{took(9, "run", "a")}, again, false},
		"after a reuse long ago":    {[]ledger.Build{late}, held, false},
		"without what was reused":   {[]ledger.Build{took(9, "run", "a")}, append(again[:2:2], held[2]), true},
	} {
		l := ledger.New(seal)
		if l.Lacks(nil) {
			t.Error("something lacks that was never listed")
		}
		l.List(held)
		for _, b := range tt.learn {
			l.Learn(b)
		}
		if got := l.Lacks(tt.list); got != tt.want {
			t.Errorf("%s: lacks is %v, want %v", what, got, tt.want)
		}
	}
}
