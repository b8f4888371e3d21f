package ledger_test

import (
	"slices"
	"strings"
	"testing"
	"time"

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
		pruned bool // what it took, before the builder could be asked
		lost   int  // of what is listed, counted from the last
		held   bool // what it made and took is in use when the builder lists it first
		files  string
		want   string
	}{
		{"the same build", nil, false, 0, false, "b", "hit hit hit"},
		{"of other files", nil, false, 0, false, "a", "hit miss unknown"},
		{"the same build, which is still at it", nil, false, 0, true, "b", "hit hit hit"},
		{"a result went", nil, false, 1, false, "b", "hit unknown unknown"},
		{"what it took went at once", nil, true, 0, false, "b", "hit hit miss"},
		{"with a cache elsewhere", func(b *ledger.Build) { b.Imports = true }, false, 0, false, "b", "hit hit unknown"},
		{"which failed", func(b *ledger.Build) { b.Broken = true }, false, 0, false, "b", "hit hit unknown"},
		{"while nobody looked", func(b *ledger.Build) { b.Late = true }, false, 0, false, "b", "hit hit unknown"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, on := ledger.New(seal), ledger.Disk{}
			took := func(held []buildkit.Held, minute int) { // the builder notes that the last step's results are used
				for i := range held {
					if held[i].Record == "record of take" {
						held[i].Used = noon.Add(time.Duration(minute)*time.Minute + 10*time.Second)
					}
				}
			}
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
					b.Whole = true
					if tt.change != nil {
						tt.change(&b)
					}
				}
				l.Learn(b)
				if got := forecasts(l, "three", "b"); strings.Contains(got, "hit hit hit") {
					t.Errorf("before it was listed: %s", got)
				}
				all = append(all, held...)
				if step.loads {
					took(all, minute)
				}
				if tt.pruned && minute == 3 {
					all = slices.DeleteFunc(all, func(h buildkit.Held) bool { return h.Record == "record of take" })
				}
				if tt.held && minute == 3 {
					l.List(inUse(all))
					continue
				}
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

// TestRepeatBesideAnother: the last step's result goes, and at once another build makes one
// that is listed alike. The first build again would execute its last step.
func TestRepeatBesideAnother(t *testing.T) {
	shifted := func(command, files string, by time.Duration) (ledger.Build, []buildkit.Held) {
		b, held := ran(1, command, files)
		for i := range b.Runs {
			b.Runs[i] = buildkit.Run{Started: b.Runs[i].Started.Add(by), Completed: b.Runs[i].Completed.Add(by)}
		}
		for i := range held {
			held[i].Created = held[i].Created.Add(by)
		}
		b.Whole = true
		return b, held
	}
	for _, tt := range []struct {
		name  string
		apart time.Duration
		order string // of what happens: the builder lists, the result goes, the other build is made and learned
		want  string
	}{
		{"soon", 400 * time.Millisecond, "list go other list", "hit hit unknown"},
		{"soon, and the builder was not asked between", 400 * time.Millisecond, "go other list", "hit hit unknown"},
		{"soon, learned the other way around", 400 * time.Millisecond, "first-last list", "hit hit unknown"},
		{"soon, and nothing went", 400 * time.Millisecond, "list other list", "hit hit hit"},
		{"soon, and nobody saw it", 400 * time.Millisecond, "list unseen list go list", "hit hit unknown"},
		{"a minute later", time.Minute, "list other list", "hit hit hit"},
		{"a minute later, and nobody saw it", time.Minute, "list unseen list", "hit hit hit"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := ledger.New(seal)
			first, all := shifted("one", "a", 0)
			other, others := shifted("two", "a", tt.apart)
			if tt.order != "first-last list" {
				l.Learn(first)
			}
			for what := range strings.FieldsSeq(tt.order) {
				switch what {
				case "list":
					l.List(all)
				case "go":
					all = slices.Delete(slices.Clone(all), 2, 3)
				case "unseen":
					all = append(slices.Clone(all), others...)
				case "other":
					l.Learn(other)
					all = append(slices.Clone(all), others...)
				case "first-last":
					l.Learn(other)
					l.Learn(first)
					all = append(slices.Delete(slices.Clone(all), 2, 3), others...)
				}
			}
			if got := forecasts(l, "one", "a"); got != tt.want {
				t.Errorf("the first build again: %s, want %s", got, tt.want)
			}
		})
	}
}

// TestRepeatOfWhatWentAtOnce: what a build took goes before the builder is first asked, and
// another result, which is listed alike, is used meanwhile. The build would not be repeated.
func TestRepeatOfWhatWentAtOnce(t *testing.T) {
	l := ledger.New(seal)
	b, held := twins(time.Minute)
	l.Learn(b)
	again, at := b, noon.Add(2*time.Minute)
	again.Whole = true
	again.Fates = []cache.Fate{cache.Untouched, cache.Untouched, cache.Untouched, cache.Loaded}
	again.Runs = []buildkit.Run{{}, {}, {}, {Started: at, Completed: at}}
	l.Learn(again)
	held[0].Used = at.Add(time.Second)
	l.List(held[:1])
	if got := l.Predict(b.Graph, b.Records)[3].Forecast; got == cache.WillHit {
		t.Error("what is gone is predicted to hit")
	}
}

// TestMadeJustBefore: what a build made goes before the builder is first asked, and there is a
// result that is listed alike, and that somebody else made a moment before.
func TestMadeJustBefore(t *testing.T) {
	l := ledger.New(seal)
	b, held := ran(0, "run", "a")
	anothers := buildkit.Held{Record: held[0].Record, Created: b.Runs[2].Started.Add(-time.Second / 10)}
	l.List([]buildkit.Held{anothers})
	l.Learn(b)
	for range 2 {
		l.List([]buildkit.Held{anothers})
		if got := l.Predict(b.Graph, b.Records)[2].Forecast; got == cache.WillHit {
			t.Error("what is gone is predicted to hit")
		}
	}
}
