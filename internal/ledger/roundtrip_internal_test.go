package ledger

import (
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/cache/buildkit"
	"github.com/stokerd/stoker/internal/randtest"
)

// TestLoadedIsWhatWasSaved: after any builds and listings, what is read is what is in
// memory, but for what a program that ended cannot know.
func TestLoadedIsWhatWasSaved(t *testing.T) {
	seal := func(s string) string { return "sealed " + s }
	met := map[string]bool{}
	for seed := range randtest.Seeds(t, 40, 2000) {
		r := rand.New(rand.NewPCG(seed, 11))
		l, kept := New(seal), Disk{}
		l.maxKeys, l.lag = 10+r.IntN(40), time.Duration(r.IntN(2))*time.Hour
		at := time.Unix(1_700_000_000, 0).UTC()
		var held []buildkit.Held
		for step := range 30 {
			at = at.Add(time.Duration(r.IntN(60_000)) * time.Millisecond)
			switch r.IntN(4) {
			case 0:
				held = held[min(len(held), r.IntN(3)):]
				l.List(slices.Concat(held, []buildkit.Held{{ID: "merge", Merges: "base import"}, {ID: "import", Lacking: true}}[:r.IntN(3)]))
			case 1:
				l.Saw(at)
				l.setImports(cache.KeyID(fmt.Sprint("brought ", r.IntN(3))), []imported{{fmt.Sprint(r.IntN(2)), r.IntN(2) == 0}, {"other", false}}[:r.IntN(3)])
			default:
				b := drawBuild(r, at)
				for i, fate := range b.Fates {
					if fate == cache.Made && r.IntN(5) > 0 || r.IntN(10) == 0 {
						made := at.Add(time.Duration(r.IntN(1000)) * time.Millisecond)
						held = append(held, buildkit.Held{Record: b.Records[i], Created: made, Used: at.Add(time.Second)})
						if r.IntN(4) == 0 { // and one of somebody else's beside it
							held = append(held, buildkit.Held{Record: b.Records[i], Created: made.Add(time.Millisecond), Used: at.Add(time.Second)})
						}
					}
				}
				l.Learn(b)
			}
			err := l.Save(func(anew bool, changes iter.Seq2[string, []byte]) error {
				met["anew"] = met["anew"] || anew
				return kept.Put(anew, changes)
			})
			if err != nil {
				t.Fatal(err)
			}
			loaded, err := Load(seal, maps.All(kept))
			if err != nil {
				t.Fatalf("seed %d, step %d: %v", seed, step, err)
			}
			met["claims"], met["luck"] = met["claims"] || len(l.claims) > 0, met["luck"] || len(l.luck) > 0
			met["keyless"] = met["keyless"] || len(l.keyless) > 0
			met["bygone"] = met["bygone"] || len(l.bygone) > 0
			met["partial"] = met["partial"] || len(l.partial) > 0
			met["imports"] = met["imports"] || len(l.imports) > 0
			met["mixtures"] = met["mixtures"] || len(l.mixed) > 0
			for _, part := range []struct {
				name      string
				now, then any
			}{
				{"entries", l.entries, loaded.entries},
				{"claims", l.claims, loaded.claims},
				{"imports", l.imports, loaded.imports},
				{"keyless executions", l.keyless, loaded.keyless},
				{"what is bygone", l.bygone, loaded.bygone},
				{"what is partial", l.partial, loaded.partial},
				{"luck", l.luck, loaded.luck},
				{"seen", l.seen, loaded.seen},
				{"mixtures", mixtures(l), mixtures(loaded)},
				{"mirror", l.mirror.Forget(nil), loaded.mirror.Forget(nil)},
			} {
				if !reflect.DeepEqual(part.now, part.then) {
					t.Fatalf("seed %d, step %d: %s are\n%v\nand were read as\n%v", seed, step, part.name, part.now, part.then)
				}
			}
		}
	}
	for _, what := range []string{"anew", "bygone", "claims", "imports", "keyless", "luck", "mixtures"} {
		if !met[what] {
			t.Errorf("the test saw no %s", what)
		}
	}
}

// mixtures describes those of a ledger, in some order.
func mixtures(l *Ledger) map[string]bool {
	all := map[string]bool{}
	for _, m := range l.mixed {
		text := m.record
		for _, h := range m.held {
			text += fmt.Sprint(" ", h.Created.UnixNano())
		}
		for _, e := range m.executions {
			text += fmt.Sprint(" ", e.run.Started.UnixNano(), e.run.Completed.UnixNano(), e.keys)
		}
		all[text] = true
	}
	return all
}

// drawBuild draws a chain of operations, some of which take files.
func drawBuild(r *rand.Rand, at time.Time) Build {
	b := Build{Late: r.IntN(8) == 0}
	fates := []cache.Fate{cache.Made, cache.Made, cache.Loaded, cache.Untouched}
	for i := range 2 + r.IntN(4) {
		op := fmt.Sprint("op", i, r.IntN(3))
		n := cache.Node{Digests: []string{op}, Steps: []int{i}}
		if i == 0 && r.IntN(4) == 0 { // nobody knows what it is
			n.Digests, n.Unknown = nil, cache.NotResolved
		}
		if i > 0 {
			n.Inputs = []cache.Input{{Node: r.IntN(i), ByContent: r.IntN(3) == 0}}
			if in := &n.Inputs[0]; in.ByContent && r.IntN(2) == 0 {
				in.Selector, in.Content = "files", fmt.Sprint("content", r.IntN(3))
			}
		}
		b.Graph.Nodes, b.Graph.Targets = append(b.Graph.Nodes, n), []int{i}
		b.Fates = append(b.Fates, fates[r.IntN(len(fates))])
		b.Runs = append(b.Runs, buildkit.Run{Started: at, Completed: at.Add(time.Second)})
		b.Records = append(b.Records, "record of "+op)
	}
	return b
}
