package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/context/content"
	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/project"
)

// A Reader computes the digests of what builds of one repository take. What it
// has read once it reads again only where it changed. It is safe for concurrent
// use.
type Reader struct {
	mu   sync.Mutex // guards last
	last map[string]*content.Manifest
}

// NewReader returns a reader that remembers nothing.
func NewReader() *Reader {
	return &Reader{last: map[string]*content.Manifest{}}
}

// errUncertain is the content of files that changed while they were sent, or of
// a build that the picture does not show.
var errUncertain = errors.New("it is not known which state of the files was sent")

// Content answers for the requests of a plan with what they brought of the build
// that has the given name, at a time during which the repository had all of the
// pictures: what differs between them is not known.
func (r *Reader) Content(ctx context.Context, plan *dockerfile.Plan, name string, pictures ...*project.Picture) cache.ContentFunc {
	manifests := map[int][]*content.Manifest{}
	errs := map[int]error{}
	return func(request int, selected []dockerfile.Selector) (string, error) {
		if _, read := manifests[request]; !read && errs[request] == nil {
			for _, p := range pictures {
				m, err := r.manifest(ctx, p, name, plan.Requests[request])
				if err != nil {
					errs[request] = err
					break
				}
				manifests[request] = append(manifests[request], m)
			}
		}
		if err := errs[request]; err != nil {
			return "", err
		}
		digest := ""
		for _, m := range manifests[request] {
			d, err := m.Content(selected)
			if err != nil {
				return "", err
			}
			if digest != "" && digest != d.String() {
				return "", errUncertain
			}
			digest = d.String()
		}
		if digest == "" {
			return "", errUncertain
		}
		return digest, nil
	}
}

func (r *Reader) manifest(ctx context.Context, p *project.Picture, name string, request dockerfile.Request) (*content.Manifest, error) {
	b, ok := p.Find(name)
	if !ok || b.Selection == nil {
		return nil, errUncertain
	}
	// With other ignore patterns, the picture may lack what is asked for.
	asked := slices.ContainsFunc(b.Selection.Plan.Requests, func(own dockerfile.Request) bool {
		return own.Local == request.Local && slices.Equal(own.Excludes, request.Excludes)
	})
	if !asked {
		return nil, errUncertain
	}
	dir, err := p.Sent(ctx, b, request)
	if err != nil {
		return nil, err
	}
	key := fmt.Sprintf("%s\x00%q", dir.Path(), request.FollowPaths)
	r.mu.Lock()
	before := r.last[key]
	r.mu.Unlock()
	m, _, err := content.Compute(ctx, dir, before, time.Now())
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	r.last[key] = m
	r.mu.Unlock()
	return m, nil
}
