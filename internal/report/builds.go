package report

import (
	"slices"
	"time"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/internal/api"
)

// Window is the age of the oldest builds that status counts.
const Window = 7 * 24 * time.Hour

// historyLength is the number of builds in the graph that status shows.
const historyLength = 8

// AddBuilds sets the fields of d about its builds, which are given in any order and are
// all within [Window].
func AddBuilds(d *api.Definition, records []cache.Record) {
	sorted := slices.SortedFunc(slices.Values(records), func(a, b cache.Record) int {
		return a.Completed.Compare(b.Completed)
	})
	d.Builds, d.HitRate, d.History, d.Last = len(sorted), nil, nil, nil
	var hits, total int
	for _, r := range sorted {
		h, n := r.Hits()
		hits, total = hits+h, total+n
		if n > 0 {
			d.History = append(d.History, float64(h)/float64(n))
		}
	}
	if len(d.History) > historyLength {
		d.History = slices.Clone(d.History[len(d.History)-historyLength:])
	}
	if total > 0 {
		rate := float64(hits) / float64(total)
		d.HitRate = &rate
	}
	if len(sorted) > 0 {
		last := build(sorted[len(sorted)-1])
		d.Last = &last
	}
}

func build(r cache.Record) api.Build {
	hits, total := r.Hits()
	return api.Build{
		Ref: r.Ref, Status: string(r.Status), Interrupted: r.Status == cache.Canceled, Completed: r.Completed, Seconds: r.Seconds(), Hits: hits, Steps: total,
	}
}

// Stats reports statistics of definitions since a time.
func Stats(since time.Time, list []cache.DefinitionStats) api.Stats {
	s := api.Stats{Schema: api.StatsSchema, Since: since, Definitions: make([]api.DefinitionStats, len(list))}
	for i, d := range list {
		s.Definitions[i] = definitionStats(d)
	}
	return s
}

// NoBuilds returns an *api.Error of code NotFound if somebody asks for the builds of a
// repository that has none and is not watched, or of a definition that is not among names;
// else nil. root is "" for all repositories, and name for all definitions.
func NoBuilds(root, name string, watched bool, names []string) error {
	if root != "" && !watched && len(names) == 0 {
		return &api.Error{Code: api.NotFound, Message: readable(root) + " is not watched", Hint: "stoker up; then build"}
	}
	if name == "" || slices.Contains(names, name) {
		return nil
	}
	slices.Sort(names)
	names = slices.DeleteFunc(slices.Compact(names), func(n string) bool { return n == "" })
	if len(names) == 0 {
		return &api.Error{Code: api.NotFound, Message: "no build is named " + name, Hint: "stoker status shows what is built"}
	}
	return noName(name, names)
}

func definitionStats(d cache.DefinitionStats) api.DefinitionStats {
	out := api.DefinitionStats{
		Repository: readable(d.Repository), Name: d.Name, Builds: d.Builds, Failed: d.Failed, Interrupted: d.Canceled,
		SecondsSaved: d.SecondsSaved, SecondsLost: d.SecondsLost, MeanSeconds: d.MeanSeconds,
		Steps:    make([]api.StepStats, len(d.Steps)),
		Breakers: make([]api.Breaker, len(d.Breakers)),
	}
	if rate, ok := d.HitRate(); ok {
		out.HitRate = &rate
	}
	if r := d.Remote; r.Builds > 0 {
		out.RemoteCache = &api.RemoteCacheStats{
			Builds: r.Builds, ExportSeconds: r.Export, ImportSeconds: r.Import, FetchSeconds: r.Fetch, Imported: r.Imported, MaybeImported: r.Hits,
			SecondsSaved: r.SecondsSaved, SecondsSavedAtMost: r.SecondsSavedAtMost, Unknown: r.Unknown,
		}
	}
	for i, s := range d.Steps {
		out.Steps[i] = api.StepStats{
			Name: s.Name, Hits: s.Hits, Misses: s.Misses, MedianSeconds: s.MedianSeconds,
			SecondsSaved: s.SecondsSaved, SecondsLost: s.SecondsLost,
		}
	}
	for i, b := range d.Breakers {
		out.Breakers[i] = api.Breaker{Name: b.Name, Times: b.Times, SecondsLost: b.SecondsLost, Costliest: b.Costliest}
		for _, what := range b.Behind {
			c := api.BreakerCause{Kind: string(what.Kind), Times: what.Times, SecondsLost: what.SecondsLost}
			if what.Kind == cache.ByFiles {
				c.Path, c.PathBytes = readable(what.Name), rawName(what.Name)
			} else {
				c.Name = what.Name
			}
			out.Breakers[i].Causes = append(out.Breakers[i].Causes, c)
		}
	}
	return out
}
