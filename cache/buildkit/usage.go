package buildkit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	controlapi "github.com/moby/buildkit/api/services/control"

	"github.com/stokerd/stoker/context/dockerfile"
)

// A Kind says what an entry of a builder's disk usage is.
type Kind string

// The kinds of entries.
const (
	StepResult  Kind = "step"        // the result of a step
	ImageLayer  Kind = "image"       // pulled from a registry
	CacheMount  Kind = "cache-mount" // RUN --mount=type=cache
	LocalFiles  Kind = "local-files" // files that a client sent
	GitCheckout Kind = "git"         // a repository that was cloned
	Download    Kind = "download"    // ADD of a URL
	Internal    Kind = "internal"    // frontends and the like
)

// A Usage is an entry of a builder's cache on disk. Local, Base and Lacking of Held are not
// set.
type Usage struct {
	Held
	Kind    Kind
	Bytes   int64    // without those of its parents
	Parents []string // IDs of the entries that this one is a change of
	// LastUsed is Used, or Created if it was never used.
	LastUsed time.Time
	Uses     int  // how often it was used
	Shared   bool // something outside of the cache, such as an image, has it too
}

// DiskUsage lists the entries of the builder's cache, in no particular order. The builder
// first computes the sizes that it does not know yet, which can take a while.
func (b *Builder) DiskUsage(ctx context.Context) ([]Usage, error) {
	resp, err := b.client.ControlClient().DiskUsage(ctx, &controlapi.DiskUsageRequest{})
	if err != nil {
		return nil, fmt.Errorf("list what the builder keeps: %w", err)
	}
	list := make([]Usage, 0, len(resp.Record))
	for _, r := range resp.Record {
		list = append(list, usageOf(r))
	}
	return list, nil
}

// usageOf returns an entry.
func usageOf(r *controlapi.UsageRecord) Usage {
	u := Usage{
		Held: heldOf(r), Bytes: max(0, r.Size), Parents: r.Parents, Uses: int(r.UsageCount), Shared: r.Shared,
	}
	u.LastUsed = u.Used
	if u.LastUsed.IsZero() {
		u.LastUsed = u.Created
	}
	u.Kind, u.Record = kindOfUsage(r.RecordType, r.Description)
	return u
}

// The builder describes a cache mount as "cached mount TARGET from COMMAND", with the id
// of the mount behind it if it has one, and the result of that command as "mount / from
// COMMAND" (BuildKit: solver/llbsolver/mounts, ops/exec.go).
const (
	cacheMount = "cached mount "
	mountID    = ` with id "`
	execResult = "mount / from "
)

// kindOfUsage returns the kind of an entry and its record, "" if it has none. The record
// of a cache mount is that of the RUN for which it was made.
func kindOfUsage(recordType, description string) (Kind, string) {
	switch recordType {
	case "source.local":
		return LocalFiles, ""
	case "source.git.checkout":
		return GitCheckout, ""
	case "internal", "frontend":
		return Internal, ""
	case "exec.cachemount":
		_, maker, ok := strings.Cut(strings.TrimPrefix(description, cacheMount), " from ")
		if !ok {
			return CacheMount, ""
		}
		if at := strings.LastIndex(maker, mountID); at >= 0 && strings.HasSuffix(maker, `"`) {
			maker = maker[:at]
		}
		return CacheMount, dockerfile.RecordOf(execResult + maker)
	}
	switch {
	case strings.HasPrefix(description, "pulled from "):
		return ImageLayer, ""
	case strings.HasPrefix(description, "http url "):
		return Download, ""
	case strings.HasPrefix(description, "git snapshot for "), strings.HasPrefix(description, "shared git repo for "):
		return GitCheckout, ""
	}
	return StepResult, dockerfile.RecordOf(description)
}

// removeBatch is how many entries one request names.
const removeBatch = 100

// Remove has the builder remove the entries with the given IDs, and calls removed for
// each that is gone. The builder keeps those that are in use and those that other entries
// are based on, and without all also internal and shared ones.
func (b *Builder) Remove(ctx context.Context, ids []string, all bool, removed func(id string, bytes int64)) error {
	for batch := range slices.Chunk(ids, removeBatch) {
		filters := make([]string, len(batch))
		for i, id := range batch {
			// The value is quoted: no id can be read as more than that.
			filters[i] = fmt.Sprintf("id==%q", id)
		}
		stream, err := b.client.ControlClient().Prune(ctx, &controlapi.PruneRequest{Filter: filters, All: all})
		if err != nil {
			return fmt.Errorf("remove from the builder's cache: %w", err)
		}
		for {
			r, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return fmt.Errorf("remove from the builder's cache: %w", err)
			}
			removed(r.ID, max(0, r.Size))
		}
	}
	return nil
}
