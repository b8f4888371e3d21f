package ledger_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/cache/buildkit"
	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/ledger"
)

// blob names the layer of a step.
func blob(step string) string { return digest.FromString("layer of " + step).String() }

// elsewhere is a cache that has the results of two steps on a base image.
func elsewhere(t *testing.T, first, second string) []*cache.RemoteCache {
	t.Helper()
	op := func(name string) digest.Digest { return digest.FromString("sha256:" + name + "@0") }
	config := fmt.Sprintf(`{"layers":[{"blob":%q,"parent":-1},{"blob":%q,"parent":0},{"blob":%q,"parent":1}],"records":[
		{"digest":%q},{"digest":%q,"inputs":[[{"link":0}]],"layers":[{"layer":1}]},{"digest":%q,"inputs":[[{"link":1}]],"layers":[{"layer":2}]}
	]}`, blob("base"), blob(first), blob(second), op("base"), op("one"), op("two"))
	index := ocispec.Index{Manifests: []ocispec.Descriptor{{MediaType: "application/vnd.buildkit.cacheconfig.v0", Digest: "sha256:config"}}}
	for _, step := range []string{"base", first, second} {
		index.Manifests = append(index.Manifests, ocispec.Descriptor{Digest: digest.Digest(blob(step))})
	}
	top, err := json.Marshal(index)
	if err != nil {
		t.Fatal(err)
	}
	held, err := cache.ReadRemoteCache(t.Context(), ocispec.Descriptor{Digest: "sha256:top"}, func(_ context.Context, d ocispec.Descriptor) ([]byte, error) {
		if d.Digest == "sha256:top" {
			return top, nil
		}
		return []byte(config), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return []*cache.RemoteCache{held}
}

// brings is a build of the two steps that found the second in such a cache.
func brings(t *testing.T) ledger.Build {
	t.Helper()
	at := noon.Add(time.Minute)
	run := buildkit.Run{Started: at, Completed: at.Add(time.Second)}
	return ledger.Build{
		Graph: steps(), Fates: []cache.Fate{cache.Untouched, cache.Untouched, cache.Loaded}, Runs: []buildkit.Run{{}, {}, run},
		Records: []string{"", "record of one", "record of two"}, Whole: true, Imports: true, Elsewhere: elsewhere(t, "one", "two"),
	}
}

func steps() cache.Graph {
	return cache.Graph{Targets: []int{2}, Nodes: []cache.Node{
		{Digests: []string{"sha256:base"}},
		{Digests: []string{"sha256:one"}, Inputs: []cache.Input{{Node: 0}}},
		{Digests: []string{"sha256:two"}, Inputs: []cache.Input{{Node: 1}}},
	}}
}

// outlook returns what is predicted of a build of the first step, and of one of both.
func outlook(l *ledger.Ledger) string {
	g, records := steps(), []string{"", "record of one", "record of two"}
	second := l.Predict(g, records)[2].Forecast
	g.Targets = []int{1}
	return fmt.Sprint(l.Predict(g, records)[1].Forecast, " ", second)
}

// listed is how a builder lists the layers of some steps, each on the one before, once it
// has imported them and used them in the build.
func listed(prefix string, names ...string) []buildkit.Held {
	var list []buildkit.Held
	below := ""
	for _, name := range names {
		id := prefix + name
		list = append(list, buildkit.Held{
			Record: dockerfile.RecordOf("imported " + blob(name)), ID: id, Below: below, Whole: true,
			Created: noon.Add(-time.Hour), Used: noon.Add(time.Minute + time.Second),
		})
		below = id
	}
	return list
}

// TestBrought: a result that was brought from elsewhere is known by what its layers are
// listed as, for as long as just these are, and nothing is promised of any other.
func TestBrought(t *testing.T) {
	all := listed("", "base", "one", "two")
	other := listed("other ", "base", "one", "two")
	change := func(list []buildkit.Held, change func(*buildkit.Held)) []buildkit.Held {
		list = slices.Clone(list)
		for i := range list {
			change(&list[i])
		}
		return list
	}
	remote := change(all, func(h *buildkit.Held) { h.Whole, h.Lacking = false, true })
	unclear := change(all, func(h *buildkit.Held) { h.Whole = false })
	for name, tt := range map[string]struct {
		before, first, then []buildkit.Held // what is listed before the build, after it, and later
		learn               func(*ledger.Ledger, ledger.Build)
		want                string
	}{
		"it was fetched":                           {nil, all, all, nil, "hit hit"},
		"the base was pulled before":               {listed("", "base"), all, all, nil, "hit hit"},
		"it is still elsewhere":                    {nil, remote, remote, nil, "miss miss"},
		"it is perhaps still elsewhere":            {nil, unclear, unclear, nil, "unknown unknown"},
		"it was fetched later":                     {nil, remote, all, nil, "unknown unknown"},
		"it went":                                  {nil, all, nil, nil, "miss miss"},
		"its top went":                             {nil, all, all[:2], nil, "hit miss"},
		"it went, and the same came for something": {nil, all, other, nil, "miss miss"},
		"it went before it was listed":             {nil, nil, all, nil, "unknown unknown"},
		"it was there before":                      {all, all, all, nil, "unknown unknown"},
		"the same is there twice":                  {nil, append(slices.Clone(all), other...), all, nil, "unknown unknown"},
		"it lies on nothing":                       {nil, listed("", "two"), listed("", "two"), nil, "unknown unknown"},
		"it lies on more":                          {nil, listed("", "base", "base", "two"), nil, nil, "unknown unknown"},
		"nothing used it":                          {nil, change(all, func(h *buildkit.Held) { h.Used = noon }), all, nil, "unknown unknown"},
		"what the caches held is not known":        {nil, all, all, func(l *ledger.Ledger, b ledger.Build) { b.Elsewhere = nil; l.Learn(b) }, "unknown unknown"},
		"the caches held something else":           {nil, all, all, func(l *ledger.Ledger, b ledger.Build) { b.Elsewhere = elsewhere(t, "a", "b"); l.Learn(b) }, "unknown unknown"},
		"another build was learned before it was listed": {nil, all, all, func(l *ledger.Ledger, b ledger.Build) {
			l.Learn(b)
			b.Imports, b.Elsewhere = false, nil
			l.Learn(b)
		}, "unknown unknown"},
		"the builder did not answer before": {nil, all, all, func(l *ledger.Ledger, b ledger.Build) { l.Unlisted(); l.Learn(b) }, "unknown unknown"},
		"it is brought once more": {nil, all, all, func(l *ledger.Ledger, b ledger.Build) {
			l.Learn(b)
			l.List(remote)
			l.Learn(b)
		}, "hit hit"},
	} {
		t.Run(name, func(t *testing.T) {
			l, on := ledger.New(seal), ledger.Disk{}
			l.List(tt.before)
			if tt.learn == nil {
				tt.learn = (*ledger.Ledger).Learn
			}
			tt.learn(l, brings(t))
			l.List(tt.first)
			if err := l.Save(on.Put); err != nil {
				t.Fatal(err)
			}
			kept := reload(t, on)
			for what, l := range map[string]*ledger.Ledger{"before": l, "after": kept} {
				l.List(tt.then)
				if got := outlook(l); got != tt.want {
					t.Errorf("%s a restart, predicted %s, want %s", what, got, tt.want)
				}
			}
		})
	}
}

// TestBroughtAgain: what the builder made itself went before the build, unseen. The build
// brought it, and no longer is it known which other states lead there.
func TestBroughtAgain(t *testing.T) {
	for _, rechecked := range []bool{true, false} {
		l := ledger.New(seal)
		l.List(nil)
		own := brings(t)
		own.Imports, own.Elsewhere = false, nil
		var held []buildkit.Held
		for i := 1; i < 3; i++ {
			at := noon.Add(time.Duration(i) * time.Second)
			own.Fates[i], own.Runs[i] = cache.Made, buildkit.Run{Started: at, Completed: at.Add(time.Second)}
			held = append(held, buildkit.Held{Record: own.Records[i], ID: own.Records[i], Whole: true, Created: at, Used: at})
		}
		l.Learn(own)
		l.List(held)
		if got := outlook(l); got != "hit hit" {
			t.Errorf("of what was made, predicted %s, want hit hit", got)
		}
		all := listed("", "base", "one", "two")
		want := "hit hit"
		if rechecked {
			l.Recheck(all)
		} else {
			want = strings.ReplaceAll(want, "hit", "unknown")
		}
		l.Learn(brings(t))
		l.List(all)
		if got := outlook(l); got != want {
			t.Errorf("looked at before it was learned: %v: predicted %s, want %s", rechecked, got, want)
		}
	}
}

// TestBroughtIsNeeded: what was brought is among the results that the next build may take,
// and is not to be removed as what nobody needs.
func TestBroughtIsNeeded(t *testing.T) {
	l := ledger.New(seal)
	all := listed("", "base", "one", "two")
	l.List(nil)
	l.Learn(brings(t))
	l.List(all)
	results := l.Results(steps())
	for i, want := range []bool{false, true, true} {
		if got := slices.ContainsFunc(results, func(r ledger.Result) bool { return r.Lists(all[i]) }); got != want {
			t.Errorf("%s counts as needed: %v, want %v", all[i].ID, got, want)
		}
	}
}

// TestPartial: what a COPY --link makes on layers that were imported and not fetched is in doubt from
// then on until it goes.
func TestPartial(t *testing.T) {
	at := noon.Add(time.Second)
	own := brings(t)
	own.Imports, own.Elsewhere, own.Whole = false, nil, false // not whole: else it can be repeated
	own.Fates[2], own.Runs[2] = cache.Made, buildkit.Run{Started: at, Completed: at.Add(time.Second)}
	merge := buildkit.Held{Record: own.Records[2], ID: "merge", Merges: "below copied", Created: at, Used: at}
	copied := buildkit.Held{Record: "record of a copy", ID: "copied", Whole: true, Created: at, Used: at}
	below := buildkit.Held{Record: "record of what is below", ID: "below", Whole: true, Created: at.Add(-time.Hour), Used: at}
	with := func(change func(below *buildkit.Held)) []buildkit.Held {
		b := below
		change(&b)
		return []buildkit.Held{b, copied, merge}
	}
	whole := with(func(*buildkit.Held) {})
	for name, tt := range map[string]struct {
		first, then []buildkit.Held
		want        string
	}{
		"all was fetched":              {whole, whole, "hit"},
		"it is elsewhere":              {with(func(b *buildkit.Held) { b.Lacking, b.Whole = true, false }), nil, "unknown"},
		"it was elsewhere":             {with(func(b *buildkit.Held) { b.Lacking, b.Whole = true, false }), whole, "unknown"},
		"it is perhaps elsewhere":      {with(func(b *buildkit.Held) { b.Whole = false }), nil, "unknown"},
		"it was perhaps elsewhere":     {with(func(b *buildkit.Held) { b.Whole = false }), whole, "unknown"},
		"it looked so while in use":    {with(func(b *buildkit.Held) { b.Whole, b.InUse = false, true }), whole, "hit"},
		"it is of a base image":        {with(func(b *buildkit.Held) { b.Whole, b.Base = false, true }), nil, "hit"},
		"it is a merge itself":         {with(func(b *buildkit.Held) { b.Whole, b.Merges = false, "base" }), nil, "hit"},
		"a known run made nothing new": {with(func(b *buildkit.Held) { b.Whole, b.Record, b.Created = false, own.Records[2], at }), nil, "hit"},
	} {
		t.Run(name, func(t *testing.T) {
			l, on := ledger.New(seal), ledger.Disk{}
			l.List(nil)
			l.Learn(own)
			l.List(tt.first)
			if err := l.Save(on.Put); err != nil {
				t.Fatal(err)
			}
			if tt.then == nil {
				tt.then = tt.first
			}
			for what, l := range map[string]*ledger.Ledger{"before": l, "after": reload(t, on)} {
				l.List(tt.then)
				if got := fmt.Sprint(l.Predict(steps(), own.Records)[2].Forecast); got != tt.want {
					t.Errorf("%s a restart, predicted %s, want %s", what, got, tt.want)
				}
			}
		})
	}
}
