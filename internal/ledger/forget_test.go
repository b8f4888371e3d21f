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
	l.most = 40
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
	if size := l.mirror.Size(); size > l.most {
		t.Errorf("%d keys are held", size)
	}
	if len(kept) > 8*l.most {
		t.Errorf("%d entries are kept", len(kept))
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
