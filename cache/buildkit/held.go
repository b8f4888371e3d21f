package buildkit

import (
	"context"
	"fmt"
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
	// Used is when it was last let go of by something that took it, by the
	// builder's clock, zero if never; InUse, whether something has it.
	Used  time.Time
	InUse bool
}

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
		h := Held{Record: dockerfile.RecordOf(r.Description), Created: r.CreatedAt.AsTime(), InUse: r.InUse}
		if r.LastUsedAt != nil {
			h.Used = r.LastUsedAt.AsTime()
		}
		list = append(list, h)
	}
	return list, nil
}
