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
	StepResult  Kind = "step"        // what a step gave
	ImageLayer  Kind = "image"       // pulled from a registry
	CacheMount  Kind = "cache-mount" // RUN --mount=type=cache
	LocalFiles  Kind = "local-files" // what clients sent
	GitCheckout Kind = "git"         // a repository that was cloned
	Download    Kind = "download"    // ADD of an address
	Internal    Kind = "internal"    // the builder's own: frontends and the like
)

// A Usage is an entry of what a builder keeps on its disk.
type Usage struct {
	Held
	Kind Kind
	// Bytes is what the entry takes beside its parents.
	Bytes   int64
	Parents []string // IDs of the entries that this one is a change of
	// LastUsed is Used or, where nothing ever used it, Created; Uses is how often
	// something did.
	LastUsed time.Time
	Uses     int
	Shared   bool // something outside of the cache has it too, such as an image
}

// DiskUsage lists what the builder keeps, in no order. Sizes that it does not know
// yet it works out first, which can take a while.
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

// How the builder describes the folder of a cache mount, and the result of the step
// that it was made for (BuildKit: solver/llbsolver/mounts, ops/exec.go).
const (
	cacheMount = "cached mount "
	mountID    = ` with id "`
	execResult = "mount / from "
)

// kindOfUsage returns the kind of an entry and what it is listed as. That of a cache
// mount is the result of the RUN that it was made for.
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

// Remove has the builder drop entries by their IDs, and no others, and tells
// removed of each that is gone. The builder keeps what is in use and what other
// entries build on. With all, it drops its own and shared ones too.
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
