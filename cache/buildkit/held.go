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

// A Held is a result in a builder's cache, as the builder lists it.
type Held struct {
	ID string
	// Below is the ID of the result that this one is a change of; "" if there is
	// none, or if there are several.
	Below string
	// Merges are the IDs of the results that this one joins (BuildKit: llb.Merge, as COPY --link
	// makes one), with spaces in between; "" if it joins none.
	Merges string
	// Record is the hash of its description: see dockerfile.Op.Record. It must stay
	// in memory.
	Record string
	// Created is some moment while the operation ran, by the builder's clock.
	Created time.Time
	// Used is when it was last released after use, by the builder's clock; zero if
	// it never was.
	Used  time.Time
	InUse bool // something uses it now
	Local bool // it is a copy of files that a client sent
	// Base reports that it is a layer of an image that a stage begins with, pulled or not: any
	// build of the stage can have the builder pull it.
	Base bool
	// Whole reports that the builder surely has all layers of it: a result that was
	// found in a remote cache is listed before its layers are pulled. Lacking
	// reports that the topmost layer surely is not there.
	Whole, Lacking bool
}

// localSource begins the description of a copy of files that a client sent, in use or
// not (BuildKit: source/local, localSourceHandler.snapshot).
const localSource = "local source for "

// pulledLayer begins the description of a layer that was pulled from an image. It has none before
// (BuildKit: source/containerimage.puller.Snapshot, cache.lazyRefProvider.Unlazy).
const pulledLayer = "pulled from "

// Held lists the results that the builder has now.
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
		h.Base = r.Description == "" || strings.HasPrefix(r.Description, pulledLayer)
		list = append(list, h)
	}
	return list, nil
}

// heldOf returns an entry without Record, Local, Base and Lacking.
func heldOf(r *controlapi.UsageRecord) Held {
	h := Held{InUse: r.InUse, ID: r.ID, Whole: r.Size > 0}
	switch len(r.Parents) {
	case 0:
	case 1:
		h.Below = r.Parents[0]
	default:
		h.Merges = strings.Join(r.Parents, " ")
	}
	if r.CreatedAt != nil {
		h.Created = r.CreatedAt.AsTime()
	}
	if r.LastUsedAt != nil {
		h.Used = r.LastUsedAt.AsTime()
	}
	return h
}

// importedLayer begins the description of a layer found in a remote cache that has no
// description of its own; its digest follows (BuildKit: worker/base.Worker.FromRemote).
const importedLayer = "imported "

// maxLayerRequests is how many layers the builder is asked for at a time.
const maxLayerRequests = 16

// lacking returns the IDs of entries whose topmost layer was found in a remote cache and
// was not pulled. Only an entry without a size can be one (BuildKit:
// cache.cacheManager.DiskUsage). Nothing is known of a Docker Engine: it may keep layers
// with a graph driver, outside of the content store, where an empty one has no size.
func (b *Builder) lacking(ctx context.Context, records []*controlapi.UsageRecord) map[string]bool {
	if b.engine != nil {
		return nil
	}
	store, lacking := proxy.NewContentStore(b.client.ContentClient()), map[string]bool{}
	var group errgroup.Group
	group.SetLimit(maxLayerRequests)
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
	_ = group.Wait() // no function returns an error
	return lacking
}
