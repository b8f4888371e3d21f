package daemon

import (
	"context"
	"time"

	"github.com/stokerd/stoker/internal/ledger"
	"github.com/stokerd/stoker/internal/project"
)

// A moment is a picture of each watched repository at one time. One that could not be
// pictured is missing.
type moment map[*repository]*project.Picture

// moment returns pictures of all watched repositories, which have everything that was
// written before the call.
func (d *Daemon) moment(ctx context.Context) moment {
	m := moment{}
	for _, r := range d.all() {
		if s, err := r.fresh(ctx); err == nil && s.picture != nil {
			m[r] = s.picture
		}
	}
	return m
}

// A span is what the repositories held when a build began, and when it had ended. It is nil
// for a build that the daemon did not see begin.
type span struct {
	began, ended moment
	stirs        map[*repository]*ledger.Stir // what was told of changes in between
}

// span returns the span of a build that has just ended. It began at the time since, when
// the repositories held what began says.
func (d *Daemon) span(ctx context.Context, began moment, since time.Time) *span {
	s := &span{began: began, ended: d.moment(ctx), stirs: map[*repository]*ledger.Stir{}}
	for r := range s.ended {
		s.stirs[r] = r.stir(since)
	}
	return s
}

// stir returns what was told of changes in repo while the build ran. repo and s may be nil.
func (s *span) stir(repo *repository) *ledger.Stir {
	if s == nil {
		return nil
	}
	return s.stirs[repo]
}

// start returns what the repositories held when the build began, nil for a nil span.
func (s *span) start() moment {
	if s == nil {
		return nil
	}
	return s.began
}

// pictures returns the pictures of repo at both ends of the span, the earlier one first, or
// none if one of them is missing. repo and s may be nil.
func (s *span) pictures(repo *repository) []*project.Picture {
	if s == nil || s.began[repo] == nil || s.ended[repo] == nil {
		return nil
	}
	return []*project.Picture{s.began[repo], s.ended[repo]}
}
