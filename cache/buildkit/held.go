package buildkit

import (
	"context"
	"fmt"
	"strings"
	"time"

	controlapi "github.com/moby/buildkit/api/services/control"

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
	list := make([]Held, 0, len(resp.Record))
	for _, r := range resp.Record {
		if r.CreatedAt == nil {
			continue
		}
		h := heldOf(r)
		h.Record, h.Local = dockerfile.RecordOf(r.Description), strings.HasPrefix(r.Description, localSource)
		list = append(list, h)
	}
	return list, nil
}

// heldOf returns all but what r is listed as.
func heldOf(r *controlapi.UsageRecord) Held {
	h := Held{InUse: r.InUse}
	if r.CreatedAt != nil {
		h.Created = r.CreatedAt.AsTime()
	}
	if r.LastUsedAt != nil {
		h.Used = r.LastUsedAt.AsTime()
	}
	return h
}
