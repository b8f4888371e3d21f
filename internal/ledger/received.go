package ledger

import (
	"context"
	"math"
	"time"

	"github.com/stokerd/stoker/context/content"
	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/project"
)

// Received notes which local files a build left on the builder. The repository had all of
// the pictures while the build ran, one after the other. The site must have just one key.
// whole says that the build is known to have asked for all files that the plan does.
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

// note enters in the site's snapshots that one of sent was sent for a local context, or
// perhaps was if the build is not whole.
func (s Site) note(local string, whole bool, sent []*content.Manifest) {
	from := s.senders(local)[0]
	if whole {
		s.Snapshots.Sent(from, sent...)
	} else {
		s.Snapshots.Perhaps(from, sent...)
	}
}

// A Past says when a build ran that nobody saw, by the clock that stamps files, widened on
// either side by as much as clocks may differ. If Began is zero, it may have begun at any
// time.
type Past struct{ Began, Ended time.Time }

// nano returns t in nanoseconds since 1970, the least number for the zero time.
func nano(t time.Time) int64 {
	if t.IsZero() {
		return math.MinInt64
	}
	return t.UnixNano()
}

// coarsest is the longest step in which file systems count that keep no fractions of a second.
const coarsest = 2 * time.Second

// changedSince returns a function that reports whether what has a ctime may have changed
// since began.
func changedSince(began time.Time) func(ctime int64) bool {
	return func(ctime int64) bool {
		if ctime > 0 && ctime%int64(time.Second) == 0 {
			ctime += int64(coarsest)
		}
		return ctime >= nano(began)
	}
}

// Before returns what the requests of a plan brought in a past build, as far as that is
// still there: the files that did not change since the build began, by their time of
// change (ctime).
func (r *Reader) Before(ctx context.Context, plan *dockerfile.Plan, name string, p *project.Picture, past Past) *Sent {
	s := newSent(nil)
	s.past = true
	s.read = func(request int) ([]*content.Manifest, error) {
		m, top, err := r.manifest(ctx, p, name, plan.Requests[request])
		if err != nil {
			return nil, err
		}
		since := changedSince(past.Began)
		s.blurs[request] = content.NewBlur(m, top, func(_, ctime int64) bool { return since(ctime) }, since, since)
		return []*content.Manifest{m}, nil
	}
	return s
}

// ReceivedBefore is [Reader.Received] for a past build, with the files as they are now. Two
// things may have been sent in another state that looks the same to the builder:
//
//   - A file that changed (ctime) since the build began, and whose content has a time
//     (mtime) from before it ended.
//   - The mode of a directory that changed since the build began, other than by a name in
//     it that came or went. The builder keeps the first mode that it was sent.
//
// These are doubted only while the snapshots are behind. Of a builder whose copies were
// never known, each file that was moved since some build would else be in doubt for ever.
func (r *Reader) ReceivedBefore(ctx context.Context, plan *dockerfile.Plan, name string, site Site, whole bool, p *project.Picture, past Past) {
	doubts := site.Snapshots.isBehind()
	for _, request := range plan.Requests {
		m, top, err := r.manifest(ctx, p, name, request)
		if err != nil {
			continue
		}
		sent := []*content.Manifest{m}
		changed := changedSince(past.Began)
		since := func(ctime int64) bool { return doubts && changed(ctime) }
		blur := content.NewBlur(m, top, func(mtime, ctime int64) bool {
			return since(ctime) && mtime <= nano(past.Ended)
		}, func(int64) bool { return false }, func(ctime int64) bool { return ctime != 0 && since(ctime) })
		if blur.Manifest.Digest() != m.Digest() {
			sent = append(sent, blur.Manifest)
		}
		site.note(request.Local, whole, sent)
	}
}
