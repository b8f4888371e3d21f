package daemon

import (
	"context"

	"github.com/stokerd/stoker/internal/project"
)

// A moment is what the repositories held at one time.
type moment map[*repository]*project.Picture

// moment returns what the repositories hold, with everything that was written
// before the call.
func (d *Daemon) moment(ctx context.Context) moment {
	m := moment{}
	for _, r := range d.all() {
		if s, err := r.fresh(ctx); err == nil && s.picture != nil {
			m[r] = s.picture
		}
	}
	return m
}

// A span is what the repositories held when a build began, and when it had ended. A nil
// span is that of a build that nobody saw run.
type span struct{ began, ended moment }

// start returns what the repositories held when the build began, nil if that is not known.
func (s *span) start() moment {
	if s == nil {
		return nil
	}
	return s.began
}

// pictures returns what repo, which may be nil, held at both ends of the span; none if
// either is not known.
func (s *span) pictures(repo *repository) []*project.Picture {
	if s == nil || s.began[repo] == nil || s.ended[repo] == nil {
		return nil
	}
	return []*project.Picture{s.began[repo], s.ended[repo]}
}
