package ledger

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/stokerd/stoker/context/content"
	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/project"
)

// A Sender is a client of a builder and what it sends: the builder has a copy of
// each, and asks again only for files that look changed against that (BuildKit:
// source/local, sharedKey).
type Sender struct {
	// Key is the client's key of the directory: buildx takes its name and an id of
	// the machine, and plain clients none, so that what they send takes each
	// other's place.
	Key   string
	Local string // the name of the local context
}

// Snapshots are the copies of local files that a builder has, as far as builds were
// observed. A copy of which nothing is known is taken for one that is not there, or
// in which nothing looks unchanged. It is safe for concurrent use.
type Snapshots struct {
	seal func(string) string

	mu     sync.Mutex          // guards the fields below
	copies map[string]snapshot // by sender, sealed because its key names a directory
	kept   map[string]snapshot // as they are stored: see Save
	behind bool                // builds may have sent files that are not accounted for
	noted  int                 // how many sendings were, since the start
}

// A snapshot is the builder's copy of what one sender sent.
type snapshot struct {
	states []*content.Manifest // one of which it is
	sent   time.Time           // when the sender last sent
}

// NewSnapshots returns those of a builder that was sent nothing. seal is that of a
// [Ledger].
func NewSnapshots(seal func(string) string) *Snapshots {
	return &Snapshots{seal: seal, copies: map[string]snapshot{}, kept: map[string]snapshot{}}
}

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

// Asking is called before the builder is asked what it holds, and returns what is to be
// called if it has no copy of any local files: they are sent anew from then on, but for
// those of a build that was noted meanwhile.
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

// mostStates is how many of the latest states of a copy are remembered. There are
// more than one only after changes that a builder does not see, or builds that
// failed.
const mostStates = 8

// After returns what the builder may have once m was sent by one of the senders: m
// itself first, as where it has no copy.
func (s *Snapshots) After(m *content.Manifest, senders ...Sender) []*content.Manifest {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.after(m, senders)
}

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

// enter says what a copy is after one of the manifests was sent, or perhaps none.
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

func same(m *content.Manifest) func(*content.Manifest) bool {
	return func(other *content.Manifest) bool { return other.Digest() == m.Digest() }
}

// Unseen returns what of m changed that the builder will not see if one of the
// senders sends it, by path.
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

// A Site is a builder that a build runs on, and by whom.
type Site struct {
	Snapshots *Snapshots // nil where nothing is known of any
	Keys      []string   // of senders, any of which it may be
}

func (s Site) senders(local string) []Sender {
	list := make([]Sender, len(s.Keys))
	for i, key := range s.Keys {
		list[i] = Sender{key, local}
	}
	return list
}

// after returns what the builder may have once m was sent.
func (s Site) after(local string, m *content.Manifest) []*content.Manifest {
	if s.Snapshots == nil {
		return []*content.Manifest{m}
	}
	return s.Snapshots.After(m, s.senders(local)...)
}

// Unseen returns what of the files that a build would send changed in a way that
// the builder does not see, by path.
func (r *Reader) Unseen(ctx context.Context, plan *dockerfile.Plan, name string, site Site, p *project.Picture) []content.Difference {
	var list []content.Difference
	for _, request := range plan.Requests {
		if request.Local != dockerfile.MainContext || !site.Snapshots.know(site.senders(request.Local)) {
			continue // nothing need be read
		}
		if m, _, err := r.manifest(ctx, p, name, request); err == nil {
			list = append(list, site.Snapshots.Unseen(m, site.senders(request.Local)...)...)
		}
	}
	return list
}
