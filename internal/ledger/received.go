package ledger

import (
	"context"
	"math"
	"time"

	"github.com/stokerd/stoker/context/content"
	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/project"
)

// Received notes what a build that ran while the repository had all of the pictures
// left on the builder. One key must be the site's. whole says that it is known to
// have asked for all that the plan does.
func (r *Reader) Received(ctx context.Context, plan *dockerfile.Plan, name string, site Site, whole bool, pictures ...*project.Picture) {
	for _, request := range plan.Requests {
		var sent []*content.Manifest
		for _, p := range pictures {
			m, _, err := r.manifest(ctx, p, name, request)
			if err != nil {
				return
			}
			sent = append(sent, m)
		}
		if len(sent) > 0 {
			site.note(request.Local, whole, sent)
		}
	}
}

func (s Site) note(local string, whole bool, sent []*content.Manifest) {
	from := s.senders(local)[0]
	if whole {
		s.Snapshots.Sent(from, sent...)
	} else {
		s.Snapshots.Perhaps(from, sent...)
	}
}

// A Past is a build that nobody saw run, by the clock that stamps files, with as
// much time as clocks may differ by on either side. It may have begun at any time
// if Began is zero.
type Past struct{ Began, Ended time.Time }

func nano(t time.Time) int64 {
	if t.IsZero() {
		return math.MinInt64
	}
	return t.UnixNano()
}

// Before returns what the requests of a plan brought in a past build, as far as that
// is still there: what did not change since the build began, by what the system says
// of when anything of it last did.
func (r *Reader) Before(ctx context.Context, plan *dockerfile.Plan, name string, p *project.Picture, past Past) *Sent {
	s := newSent(nil)
	s.past = true
	s.read = func(request int) ([]*content.Manifest, error) {
		m, top, err := r.manifest(ctx, p, name, plan.Requests[request])
		if err != nil {
			return nil, err
		}
		since := func(ctime int64) bool { return ctime >= nano(past.Began) }
		s.blurs[request] = content.NewBlur(m, top, func(_, ctime int64) bool { return since(ctime) }, since, since)
		return []*content.Manifest{m}, nil
	}
	return s
}

// ReceivedBefore is Received for a past build. What changed since it began, and has
// a time of its content from before it ended, it may have sent in another state that
// looks the same. That is asked only while the snapshots are behind: of a builder
// whose copies were never known, each file that was moved since some build would be
// in doubt for ever. So is the mode of a directory of which something changed since, and
// not by a name that came or went: the builder keeps the first that it was sent. A mode
// that was changed before that is taken to be what it was.
func (r *Reader) ReceivedBefore(ctx context.Context, plan *dockerfile.Plan, name string, site Site, whole bool, p *project.Picture, past Past) {
	doubts := site.Snapshots.isBehind()
	for _, request := range plan.Requests {
		m, top, err := r.manifest(ctx, p, name, request)
		if err != nil {
			continue
		}
		sent := []*content.Manifest{m}
		since := func(ctime int64) bool { return doubts && ctime >= nano(past.Began) }
		blur := content.NewBlur(m, top, func(mtime, ctime int64) bool {
			return since(ctime) && mtime <= nano(past.Ended)
		}, func(int64) bool { return false }, func(ctime int64) bool { return ctime != 0 && since(ctime) })
		if blur.Manifest.Digest() != m.Digest() {
			sent = append(sent, blur.Manifest)
		}
		site.note(request.Local, whole, sent)
	}
}
