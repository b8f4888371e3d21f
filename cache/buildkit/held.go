package buildkit

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/containerd/containerd/v2/core/content/proxy"
	cerrdefs "github.com/containerd/errdefs"
	controlapi "github.com/moby/buildkit/api/services/control"
	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/stokerd/stoker/context/dockerfile"
)

// A Held is a result that a builder holds.
type Held struct {
	// Record is what it is listed as: see dockerfile.Op.Record. It stays in
	// memory.
	Record string
	// Created is when it was made, by the builder's clock: while the operation
	// ran, at whichever moment of it.
	Created time.Time
	// Used is when something that used it was last done with it, by the builder's
	// clock; zero if nothing ever was.
	Used  time.Time
	InUse bool // something uses it now
	Local bool // it is a copy of what a client sent
	ID    string
	Below string // the ID of the one that it is a change of; "" if there is none, or several
	// Whole reports that the builder has all that it is made of. What was brought from a
	// cache elsewhere is listed, too, while its layers are still there. Lacking reports
	// that the builder surely lacks the topmost one.
	Whole, Lacking bool
}

// localSource begins the description of what a client sent, whether something uses it or
// not (BuildKit: source/local, localSourceHandler.snapshot).
const localSource = "local source for "

// Held lists the results that the builder holds now.
func (b *Builder) Held(ctx context.Context) ([]Held, error) {
	resp, err := b.client.ControlClient().DiskUsage(ctx, &controlapi.DiskUsageRequest{})
	if err != nil {
		return nil, fmt.Errorf("list what the builder holds: %w", err)
	}
	list, lacking := make([]Held, 0, len(resp.Record)), b.lacking(ctx, resp.Record)
	for _, r := range resp.Record {
		if r.CreatedAt == nil {
			continue
		}
		h := heldOf(r)
		h.Lacking = lacking[r.ID]
		h.Record, h.Local = dockerfile.RecordOf(r.Description), strings.HasPrefix(r.Description, localSource)
		list = append(list, h)
	}
	return list, nil
}

// heldOf returns all but what r is listed as.
func heldOf(r *controlapi.UsageRecord) Held {
	h := Held{InUse: r.InUse, ID: r.ID, Whole: r.Size > 0}
	if len(r.Parents) == 1 {
		h.Below = r.Parents[0]
	}
	if r.CreatedAt != nil {
		h.Created = r.CreatedAt.AsTime()
	}
	if r.LastUsedAt != nil {
		h.Used = r.LastUsedAt.AsTime()
	}
	return h
}

// importedLayer begins the description of a layer that a build brought from a cache
// elsewhere, where that does not have another; its digest follows (BuildKit:
// worker/base.Worker.FromRemote).
const importedLayer = "imported "

// mostLooks is how many layers a builder is asked for at a time.
const mostLooks = 16

// lacking returns the IDs of entries whose topmost layer was imported and is not on the
// builder. Only one without a size lacks a layer (BuildKit: cache.cacheManager.DiskUsage).
// An Engine with a graph driver keeps layers elsewhere, and an empty one has no size there.
func (b *Builder) lacking(ctx context.Context, records []*controlapi.UsageRecord) map[string]bool {
	if b.engine != nil {
		return nil
	}
	store, lacking := proxy.NewContentStore(b.client.ContentClient()), map[string]bool{}
	var group errgroup.Group
	group.SetLimit(mostLooks)
	var mu sync.Mutex
	for _, r := range records {
		layer, imported := strings.CutPrefix(r.Description, importedLayer)
		if !imported || r.Size > 0 || digest.Digest(layer).Validate() != nil {
			continue
		}
		group.Go(func() error {
			_, err := store.Info(ctx, digest.Digest(layer))
			mu.Lock()
			defer mu.Unlock()
			lacking[r.ID] = cerrdefs.IsNotFound(err)
			return nil
		})
	}
	_ = group.Wait() // none fails
	return lacking
}
