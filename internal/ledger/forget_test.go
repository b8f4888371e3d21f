package ledger

import (
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/cache/buildkit"
)

// A ledger is bounded: what leads to no result goes first, the oldest before, and
// what is left predicts as it did. Where everything leads somewhere it starts
// anew, and promises nothing.
func TestForgets(t *testing.T) {
	node := func(files string) cache.Graph {
		return cache.Graph{Nodes: []cache.Node{
			{Digests: []string{"base"}}, {},
			{Digests: []string{"copy"}, Inputs: []cache.Input{{Node: 0}, {Node: 1, ByContent: true, Content: files}}},
		}, Targets: []int{2}}
	}
	l := New(func(s string) string { return s })
	l.maxKeys, l.lag = 40, 0
	kept := Disk{}
	var held []buildkit.Held
	build := func(n int) {
		at := time.Unix(int64(n)*60, 0)
		l.Learn(Build{
			Graph: node(fmt.Sprint(n)), Fates: []cache.Fate{0, 0, cache.Made}, Records: []string{"", "", "copy"},
			Runs: []buildkit.Run{{}, {}, {Started: at, Completed: at.Add(time.Second)}},
		})
		held = append(held, buildkit.Held{Record: "copy", Created: at})
		l.List(held)
		if err := l.Save(kept.Put); err != nil {
			t.Fatal(err)
		}
	}
	check := func(n int, want cache.Forecast) {
		t.Helper()
		restarted, err := Load(l.seal, maps.All(kept))
		if err != nil {
			t.Fatal(err)
		}
		restarted.List(held)
		for name, l := range map[string]*Ledger{"in memory": l, "kept": restarted} {
			if got := l.Predict(node(fmt.Sprint(n)), []string{"", "", "copy"})[2]; got.Forecast != want {
				t.Errorf("state %d %s is predicted %+v, want %s", n, name, got, want)
			}
		}
	}
	for n := range 200 {
		build(n)
		held = held[max(0, len(held)-10):]
	}
	if size := l.mirror.Size(); size > l.maxKeys {
		t.Errorf("the mirror has %d keys, want no more than %d", size, l.maxKeys)
	}
	if len(kept) > 8*l.maxKeys {
		t.Errorf("%d entries are kept, want no more than %d", len(kept), 8*l.maxKeys)
	}
	check(199, cache.WillHit)
	check(191, cache.WillHit)
	check(3, cache.WillMiss)
	for n := 200; n < 260; n++ { // nothing goes
		build(n)
	}
	check(199, cache.Unknown)
	check(259, cache.WillHit)
}

// TestForgetsBygone: records of results that nobody knows, and that went, are bounded as well.
func TestForgetsBygone(t *testing.T) {
	l := New(func(s string) string { return s })
	l.maxKeys, l.lag = 40, 0
	g := func(files int) cache.Graph {
		return cache.Graph{Nodes: []cache.Node{
			{Digests: []string{"base"}}, {},
			{Digests: []string{"copy"}, Inputs: []cache.Input{{Node: 0}, {Node: 1, ByContent: true, Content: fmt.Sprint(files)}}},
		}, Targets: []int{2}}
	}
	kept := Disk{}
	for n := range 400 {
		at := time.Unix(int64(n)*60, 0)
		l.Learn(Build{
			Graph: g(n), Fates: []cache.Fate{0, 0, cache.Made}, Records: []string{"", "", "copy"},
			Runs: []buildkit.Run{{}, {}, {Started: at, Completed: at.Add(time.Second)}},
		})
		l.List([]buildkit.Held{{Record: "copy", Created: at}, {Record: fmt.Sprint("other ", n), Created: at}})
		if err := l.Save(kept.Put); err != nil {
			t.Fatal(err)
		}
		if got := l.Predict(g(n), []string{"", "", "copy"})[2]; got.Forecast != cache.WillHit {
			t.Fatalf("state %d is predicted %+v, want a hit", n, got)
		}
	}
	restarted, err := Load(l.seal, maps.All(kept))
	if err != nil {
		t.Fatal(err)
	}
	for name, l := range map[string]*Ledger{"in memory": l, "kept": restarted} {
		if n := len(l.bygone); n < 10 || n > 2*40 {
			t.Errorf("%d bygone records %s, want some, and no more than 80", n, name)
		}
	}
}

// TestForgetsAfterTheBuilder: a key that leads to no result counts for as long as the
// builder may have it, and where it leads to one again, or to none only since, longer.
func TestForgetsAfterTheBuilder(t *testing.T) {
	l := New(func(s string) string { return s })
	l.maxKeys, l.lag = 4, time.Hour
	graph := func(files int) cache.Graph {
		return cache.Graph{Nodes: []cache.Node{
			{Digests: []string{"base"}}, {},
			{Digests: []string{"copy"}, Inputs: []cache.Input{{Node: 0}, {Node: 1, ByContent: true, Content: fmt.Sprint(files)}}},
		}, Targets: []int{2}}
	}
	at := time.Unix(0, 0)
	var held []buildkit.Held
	build := func(files int) {
		at = at.Add(time.Minute)
		l.Learn(Build{
			Graph: graph(files), Fates: []cache.Fate{0, 0, cache.Made}, Records: []string{"", "", "copy"},
			Runs: []buildkit.Run{{}, {}, {Started: at, Completed: at.Add(time.Second)}},
		})
		held = append(held, buildkit.Held{Record: "copy", Created: at})
		l.List(held)
	}
	known := func(when, want string) {
		t.Helper()
		got := ""
		for files := range 7 {
			// One that is not known is told from one whose result is gone by its cause.
			switch p := l.Predict(graph(files), []string{"", "", "copy"})[2]; {
			case p.Forecast == cache.WillHit:
				got += "+"
			case p.Cause == cache.ResultGone:
				got += "-"
			default:
				got += " "
			}
		}
		if got != want {
			t.Errorf("%s: %q, want %q", when, got, want)
		}
	}
	for files := range 5 {
		build(files)
		if files == 2 {
			held = nil // 0, 1 and 2 are gone
		}
	}
	known("with more than there is room for", "---++  ")
	build(1)
	held = held[1:] // 3 is gone, too, and 1 is back
	build(5)
	known("while the builder may have the keys", "-+--++ ")
	l.lag = 0
	build(6)
	known("once it has not", " + -+++")
}

// TestForgetsBelowADownload: a key may be all that is known of the way to what was made of a
// download. Once it may be forgotten, nothing is said of what it leads to.
func TestForgetsBelowADownload(t *testing.T) {
	l := New(func(s string) string { return s })
	l.maxKeys, l.lag = 4, 0
	graph := func(files int) cache.Graph {
		return cache.Graph{Nodes: []cache.Node{
			{Digests: []string{"base"}}, {}, {Unknown: cache.NotResolved},
			{Digests: []string{"copy"}, Inputs: []cache.Input{{Node: 0}, {Node: 1, ByContent: true, Content: fmt.Sprint(files)}}},
			{Digests: []string{"add"}, Inputs: []cache.Input{{Node: 3}, {Node: 2, ByContent: true}}},
		}, Targets: []int{4}}
	}
	records := []string{"", "", "", "copy", "add"}
	var held []buildkit.Held
	for files := range 8 {
		run := buildkit.Run{Started: time.Unix(int64(files)*60, 0), Completed: time.Unix(int64(files)*60+1, 0)}
		l.Learn(Build{
			Graph: graph(files), Fates: []cache.Fate{0, 0, 0, cache.Made, cache.Made}, Records: records,
			Runs: []buildkit.Run{{}, {}, {}, run, run},
		})
		held = append(held, buildkit.Held{Record: "add", Created: run.Started}) // the COPY goes at once
		l.List(held)
		for before := range files + 1 {
			if got := l.Predict(graph(before), records)[4]; got.Forecast != cache.Unknown {
				t.Errorf("after build %d, the ADD of build %d is predicted %s", files, before, got.Forecast)
			}
		}
	}
	if size := l.mirror.Size(); size > l.maxKeys {
		t.Errorf("the mirror has %d keys, want no more than %d", size, l.maxKeys)
	}
}
