package ledger_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/cache/buildkit"
	"github.com/stokerd/stoker/internal/ledger"
)

// TestRepeat: nobody knows which of two results the last step took of a stage that was
// made anew. While they are there, the same build takes it again.
func TestRepeat(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*ledger.Build)
		lost   int // of what is listed, counted from the last
		files  string
		want   string
	}{
		{"the same build", nil, 0, "b", "hit hit hit"},
		{"of other files", nil, 0, "a", "hit miss unknown"},
		{"a result went", nil, 1, "b", "hit unknown unknown"},
		{"with a cache elsewhere", func(b *ledger.Build) { b.Alone = false }, 0, "b", "hit hit unknown"},
		{"which failed", func(b *ledger.Build) { b.Broken = true }, 0, "b", "hit hit unknown"},
		{"while nobody looked", func(b *ledger.Build) { b.Late = true }, 0, "b", "hit hit unknown"},
		{"without cache", func(b *ledger.Build) { b.Graph.Nodes[4].NoCache = true }, 0, "b", "hit hit unknown"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, on := ledger.New(seal), ledger.Disk{}
			var all []buildkit.Held
			for minute, step := range []struct {
				command, files string
				loads          bool // what the last step makes
			}{{"one", "a", false}, {"two", "a", true}, {"two", "b", false}, {"three", "b", true}} {
				b, held := ran(minute, step.command, step.files)
				if step.command == "two" && step.files == "b" {
					b.Fates[2], held = cache.Loaded, held[1:]
				}
				if step.loads {
					b.Fates[4], held = cache.Loaded, held[:len(held)-1]
				}
				if minute == 3 {
					b.Alone = true
					if tt.change != nil {
						tt.change(&b)
					}
				}
				l.Learn(b)
				if got := forecasts(l, "three", "b"); strings.Contains(got, "hit hit hit") {
					t.Errorf("before it was listed: %s", got)
				}
				all = append(all, held...)
				l.List(all)
			}
			all = all[:len(all)-tt.lost]
			l.List(all)
			if err := l.Save(on.Put); err != nil {
				t.Fatal(err)
			}
			kept := reload(t, on)
			for range 2 {
				kept.List(slices.Clone(all))
			}
			for what, l := range map[string]*ledger.Ledger{"before": l, "after": kept} {
				if got := forecasts(l, "three", tt.files); got != tt.want {
					t.Errorf("%s a restart: %s, want %s", what, got, tt.want)
				}
			}
		})
	}
}
