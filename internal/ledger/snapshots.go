package ledger

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/stokerd/stoker/context/content"
	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/project"
)

// A Sender is a client of a builder, with one local context that it sends. The builder has
// one copy for each sender, and asks again only for files that look changed against that
// (BuildKit: source/local, sharedKey).
type Sender struct {
	// Key is the client's key of the directory. Buildx makes it from the directory's name
	// and an ID of the machine. Plain clients have none, and so share a copy, which is
	// replaced by what each sends.
	Key   string
	Local string // the name of the local context
}

// Snapshots are the copies of local files that a builder has, as far as builds were
// observed. A copy of which nothing is known is taken for one that is not there, or against
// which all that changed looks changed. It is safe for concurrent use.
type Snapshots struct {
	seal func(string) string

	mu     sync.Mutex          // guards the fields below
	copies map[string]snapshot // by sender, sealed because its key names a directory
	kept   map[string]snapshot // as they are stored: see Save
	behind bool                // builds may have sent files that are not accounted for
	noted  int                 // counts what was entered since the start
}

// A snapshot is the builder's copy of what one sender sent.
type snapshot struct {
	states []*content.Manifest // it is one of these
	sent   time.Time           // when the sender last sent
}

// NewSnapshots returns those of a builder that was sent nothing. seal is that of a
// [Ledger].
func NewSnapshots(seal func(string) string) *Snapshots {
	return &Snapshots{seal: seal, copies: map[string]snapshot{}, kept: map[string]snapshot{}}
}

// sealed returns what stands for a sender in copies.
func (s *Snapshots) sealed(from Sender) string {
	return s.seal(fmt.Sprintf("%q %q", from.Key, from.Local))
}

// Behind says whether builds may have sent files that are not accounted for: until
// they are, nothing is known of any copy.
func (s *Snapshots) Behind(is bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.behind = is
}

func (s *Snapshots) isBehind() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.behind
}

// Asking is called before the builder is asked what it holds, and returns the function to
// call if that includes no copy of local files: all copies are forgotten, unless something
// was sent meanwhile.
func (s *Snapshots) Asking() (none func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	noted := s.noted
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.noted == noted {
			clear(s.copies)
		}
	}
}

// Any reports whether a copy is known.
func (s *Snapshots) Any() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.copies) > 0
}

// mostStates is how many states of a copy are remembered, the latest. There is more than one
// only after changes that the builder does not see, and after builds that failed.
const mostStates = 8

// After returns the states that the builder's copy may have after one of the senders sent m.
// The first is m itself, which it is if there was no copy.
func (s *Snapshots) After(m *content.Manifest, senders ...Sender) []*content.Manifest {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.after(m, senders)
}

// after is After for a caller that holds s.mu.
func (s *Snapshots) after(m *content.Manifest, senders []Sender) []*content.Manifest {
	list := []*content.Manifest{m}
	for _, from := range senders {
		for _, c := range s.copies[s.sealed(from)].states {
			if after := m.After(c); !slices.ContainsFunc(list, same(after)) {
				list = append(list, after)
			}
		}
	}
	return list
}

// Sent says that a build by a sender had one of the manifests sent.
func (s *Snapshots) Sent(from Sender, manifests ...*content.Manifest) {
	s.enter(from, manifests, false)
}

// Perhaps says that a build by a sender may have had one of the manifests sent, or
// none, or a part.
func (s *Snapshots) Perhaps(from Sender, manifests ...*content.Manifest) {
	s.enter(from, manifests, true)
}

// enter notes what a copy may be after one of the manifests was sent, or perhaps none.
func (s *Snapshots) enter(from Sender, manifests []*content.Manifest, perhaps bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.noted++
	var states []*content.Manifest
	for _, m := range manifests {
		for _, after := range s.after(m, []Sender{from}) {
			// One equal in digest may still have other times.
			if !slices.Contains(states, after) {
				states = append(states, after)
			}
		}
	}
	sealed := s.sealed(from)
	if perhaps {
		for _, before := range s.copies[sealed].states {
			if !slices.Contains(states, before) {
				states = append(states, before)
			}
		}
	}
	s.copies[sealed] = snapshot{states[:min(len(states), mostStates)], time.Now()}
}

// know reports whether a copy of one of the senders is known.
func (s *Snapshots) know(senders []Sender) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.behind && slices.ContainsFunc(senders, func(from Sender) bool { return len(s.copies[s.sealed(from)].states) > 0 })
}

// same returns a function that reports whether a manifest has the digest of m.
func same(m *content.Manifest) func(*content.Manifest) bool {
	return func(other *content.Manifest) bool { return other.Digest() == m.Digest() }
}

// Unseen returns what changed in m, by path, without that the builder will see it when one
// of the senders sends m.
func (s *Snapshots) Unseen(m *content.Manifest, senders ...Sender) []content.Difference {
	var list []content.Difference
	for _, after := range s.After(m, senders...)[1:] {
		for d := range content.Compare(after, m) {
			if !slices.ContainsFunc(list, func(have content.Difference) bool { return have.Path == d.Path }) {
				list = append(list, d)
			}
		}
	}
	return list
}

// A Site says on which builder a build runs, and who sends its files.
type Site struct {
	Snapshots *Snapshots // of the builder; nil if nothing is known of them
	Keys      []string   // keys of senders, any of which it may be
}

// senders returns those that may send a local context.
func (s Site) senders(local string) []Sender {
	list := make([]Sender, len(s.Keys))
	for i, key := range s.Keys {
		list[i] = Sender{key, local}
	}
	return list
}

// after returns the states that the builder's copy may have after m was sent.
func (s Site) after(local string, m *content.Manifest) []*content.Manifest {
	if s.Snapshots == nil {
		return []*content.Manifest{m}
	}
	return s.Snapshots.After(m, s.senders(local)...)
}

// Unseen yields which of the files that a build would send changed in a way that the builder
// does not see: the name of a local context and a path in it.
func (r *Reader) Unseen(ctx context.Context, plan *dockerfile.Plan, name string, site Site, p *project.Picture) iter.Seq2[string, string] {
	return func(yield func(local, path string) bool) {
		for _, request := range plan.Requests {
			senders := site.senders(request.Local)
			if !site.Snapshots.know(senders) {
				continue // without reading any file
			}
			m, _, err := r.manifest(ctx, p, name, request)
			if err != nil {
				continue
			}
			for _, diff := range site.Snapshots.Unseen(m, senders...) {
				if !yield(request.Local, diff.Path) {
					return
				}
			}
		}
	}
}
