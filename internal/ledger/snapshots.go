package ledger

import (
	"context"
	"slices"
	"sync"

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
	mu     sync.Mutex // guards copies
	copies map[Sender][]*content.Manifest
}

// NewSnapshots returns those of a builder that was sent nothing.
func NewSnapshots() *Snapshots { return &Snapshots{copies: map[Sender][]*content.Manifest{}} }

// mostStates is how many states a copy may be in. They are one but for changes that
// a builder does not see.
const mostStates = 4

// After returns what the builder may have once m was sent by one of the senders: m
// itself first, as where it has no copy.
func (s *Snapshots) After(m *content.Manifest, senders ...Sender) []*content.Manifest {
	list := []*content.Manifest{m}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, from := range senders {
		for _, c := range s.copies[from] {
			if after := m.After(c); !slices.ContainsFunc(list, same(after)) {
				list = append(list, after)
			}
		}
	}
	return list
}

// Sent says that a build by a sender had one of the manifests sent.
func (s *Snapshots) Sent(from Sender, manifests ...*content.Manifest) {
	var states []*content.Manifest
	for _, m := range manifests {
		for _, after := range s.After(m, from) {
			// One equal in digest may still have other times.
			if !slices.Contains(states, after) {
				states = append(states, after)
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.copies[from] = states[:min(len(states), mostStates)]
}

// know reports whether a copy of one of the senders is known.
func (s *Snapshots) know(senders []Sender) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(senders, func(from Sender) bool { return len(s.copies[from]) > 0 })
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

// Received notes what a build that ran while the repository had all of the pictures
// left on the builder. One key must be the site's.
func (r *Reader) Received(ctx context.Context, plan *dockerfile.Plan, name string, site Site, pictures ...*project.Picture) {
	for _, request := range plan.Requests {
		var sent []*content.Manifest
		for _, p := range pictures {
			m, err := r.manifest(ctx, p, name, request)
			if err != nil {
				return
			}
			sent = append(sent, m)
		}
		if len(sent) > 0 {
			site.Snapshots.Sent(site.senders(request.Local)[0], sent...)
		}
	}
}

// Unseen returns what of the files that a build would send changed in a way that
// the builder does not see, by path.
func (r *Reader) Unseen(ctx context.Context, plan *dockerfile.Plan, name string, site Site, p *project.Picture) []content.Difference {
	var list []content.Difference
	for _, request := range plan.Requests {
		if request.Local != dockerfile.MainContext || !site.Snapshots.know(site.senders(request.Local)) {
			continue // nothing need be read
		}
		if m, err := r.manifest(ctx, p, name, request); err == nil {
			list = append(list, site.Snapshots.Unseen(m, site.senders(request.Local)...)...)
		}
	}
	return list
}
