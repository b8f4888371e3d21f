package suggest

import (
	"path"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
)

// leastSaved is how many seconds less a build has to take for that to be a saving:
// what is less is written as 0s.
const leastSaved = 0.05

// price gives a suggestion the seconds that a build takes less, on average over
// the history, as then than as now; none where there is no history to replay, or
// where one of the two does not convert, and where they come to nothing. It returns
// what the steps of a build take less in all, and whether that is known: a step beside a
// longer one may spare nobody anything.
func (in Input) price(s *Suggestion, now, then variant) (spares float64, ok bool) {
	b := in.Builds[0]
	if b.Convert == nil || b.Takers == nil || in.Commits.Len() == 0 {
		return 0, false
	}
	price := &pricer{seconds: in.Seconds}
	before, err := in.outcome(b, now, price)
	if err != nil {
		return 0, false
	}
	after, err := in.outcome(b, then, price)
	if err != nil {
		return 0, false
	}
	if saves := before.Wall - after.Wall; saves >= leastSaved {
		s.SavesSeconds, s.Costs = saves, price.source()
		s.HitRate.Before, s.HitRate.After = before.HitRate, after.HitRate
	}
	return before.Result.Seconds - after.Result.Seconds, true
}

// spares gives a suggestion the bytes that an image, or the transfer of each build,
// is smaller by. from says whether they were counted or stand in a table.
func (s *Suggestion) spares(bytes int64, of, from string) {
	if bytes <= 0 {
		return
	}
	s.SavesBytes, s.BytesOf = bytes, of
	if s.Costs == "" {
		s.Costs = from
	}
}

// travels returns the bytes of the context that a plan asks for, as far as its
// paths hold no wildcard; false for one that cannot be told.
func (b Build) travels(p *dockerfile.Plan) (int64, bool) {
	var total int64
	for _, r := range p.Requests {
		if r.Local != dockerfile.MainContext {
			continue
		}
		if len(r.FollowPaths) == 0 {
			return b.Context.Size("."), true
		}
		var roots []string // none below another
		for _, p := range slices.Sorted(slices.Values(r.FollowPaths)) {
			name := strings.TrimPrefix(path.Clean("/"+p), "/")
			if strings.ContainsAny(name, "*?[") {
				return 0, false
			}
			if name == "" {
				return b.Context.Size("."), true
			}
			if !slices.ContainsFunc(roots, func(root string) bool { _, ok := below(root, name); return ok }) {
				roots = append(roots, name)
				total += b.Context.Size(name)
			}
		}
	}
	return total, true
}
