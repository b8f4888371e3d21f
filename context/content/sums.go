package content

import (
	"slices"
	"sync"
	"time"

	buildctx "github.com/stokerd/stoker/context"
)

// Sums remember the digests of files, as git's index does: while a file's stamp
// is the same, so is its digest. One Sums serves all contexts of a repository.
// It is safe for concurrent use.
type Sums struct {
	now func() time.Time

	mu    sync.Mutex      // guards pages
	pages map[string]page // by the directory's absolute path
}

// A page is what is remembered of a directory, by name in byte order. It is
// replaced, never edited.
type page []remembered

type remembered struct {
	name  string
	stamp buildctx.Stamp
	sum   sum
}

// A sum is what looking into a file gives.
type sum struct {
	digest Digest
	data   uint64
	xattrs uint32
}

// NewSums returns sums that remember nothing. The clock is the one by which
// files are stamped: time.Now but in tests.
func NewSums(clock func() time.Time) *Sums {
	return &Sums{now: clock, pages: map[string]page{}}
}

func (s *Sums) page(dir string) page {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pages[dir]
}

// learn remembers fresh of a directory in place of what was known of the same
// names; keep says which other names are still there.
func (s *Sums) learn(dir string, fresh page, keep func(name string) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.pages[dir]
	next := old.merged(fresh, keep)
	if slices.Equal(old, next) {
		return
	}
	s.pages[dir] = next
}

// next returns what p remembers of name under stamp, and the part of p behind
// name: it is asked for names in order.
func (p page) next(name string, stamp buildctx.Stamp) (sum, bool, page) {
	for i := range p {
		if p[i].name < name {
			continue
		}
		if p[i].name > name {
			return sum{}, false, p[i:]
		}
		return p[i].sum, p[i].stamp == stamp, p[i+1:]
	}
	return sum{}, false, nil
}

func (p page) merged(fresh page, keep func(name string) bool) page {
	out := make(page, 0, max(len(p), len(fresh)))
	for len(p) > 0 || len(fresh) > 0 {
		if len(p) == 0 || len(fresh) > 0 && fresh[0].name <= p[0].name {
			if len(p) > 0 && fresh[0].name == p[0].name {
				p = p[1:]
			}
			out, fresh = append(out, fresh[0]), fresh[1:]
			continue
		}
		if keep(p[0].name) {
			out = append(out, p[0])
		}
		p = p[1:]
	}
	return slices.Clip(out)
}
