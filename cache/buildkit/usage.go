package buildkit

import (
	"context"
	"fmt"
	"time"
)

// A Usage is one record of the builder's disk use. Its description is the text
// of the step that made it, values of args included: it is for comparing in
// memory, never for showing or storing.
type Usage struct {
	ID          string
	Parents     []string
	Bytes       int64
	Created     time.Time
	LastUsed    time.Time // zero if never
	Description string
	Kind        string // regular, source.local, exec.cachemount, …
	InUse       bool
}

// DiskUsage lists what the builder's cache holds.
func (b *Builder) DiskUsage(ctx context.Context) ([]Usage, error) {
	records, err := b.client.DiskUsage(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the builder's disk usage: %w", err)
	}
	all := make([]Usage, len(records))
	for i, r := range records {
		all[i] = Usage{
			ID: r.ID, Parents: r.Parents, Bytes: r.Size, Created: r.CreatedAt,
			Description: r.Description, Kind: string(r.RecordType), InUse: r.InUse,
		}
		if r.LastUsedAt != nil {
			all[i].LastUsed = *r.LastUsedAt
		}
	}
	return all, nil
}
