package suggest

import (
	"path"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
)

// leastSaved is how many seconds a build has to save at least: less would be shown as 0s.
const leastSaved = 0.05

// price sets the seconds that s saves per build, on average over the history: how much
// sooner a build is done with then than with now. It sets none if they are below
// leastSaved, or cannot be computed because there is no history or one of the two does not
// convert; ok is false in the latter case. It returns how many seconds less the steps take
// in all, which may be more: a step that runs beside a longer one delays nobody.
func (in Input) price(s *Suggestion, now, then variant) (spares float64, ok bool) {
	b := in.Builds[0]
	if b.Convert == nil || b.Takers == nil || in.Commits.Len() == 0 {
		return 0, false
	}
	price := in.pricer()
	before, err := in.replay(b, now, price)
	if err != nil {
		return 0, false
	}
	after, err := in.replay(b, then, price)
	if err != nil {
		return 0, false
	}
	if saves := before.Wall - after.Wall; saves >= leastSaved {
		s.SavesSeconds, s.Costs = saves, price.source()
		s.HitRate.Before, s.HitRate.After = before.HitRate, after.HitRate
	}
	return before.Result.Seconds - after.Result.Seconds, true
}

// spares sets the bytes that s saves of an Image or a Transfer. from is the source of the
// number, Observed or Prior.
func (s *Suggestion) spares(bytes int64, of, from string) {
	if bytes <= 0 {
		return
	}
	s.SavesBytes, s.BytesOf = bytes, of
	if s.Costs == "" {
		s.Costs = from
	}
}

// travels returns the size in bytes of the part of the context that a plan asks for, or
// false if it asks for a path with a wildcard.
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
