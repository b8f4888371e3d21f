package daemon

import (
	"context"
	"strings"
	"time"

	"github.com/stokerd/stoker/cache/buildkit"
	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/ledger"
	"github.com/stokerd/stoker/internal/project"
)

// seenFiles are what is known of the files that a build was sent: what its
// repository held all the time, or, where nobody looked, what it holds now, as far
// as that did not change since.
type seenFiles struct {
	reader   *ledger.Reader
	site     ledger.Site
	name     string // of the definition
	pictures []*project.Picture
	past     *ledger.Past // nil where somebody looked
}

// filesOf returns what is known of the files of a build in repo, which may be nil. during
// is nil if nobody saw it run.
func (d *Daemon) filesOf(ctx context.Context, node *buildkit.Builder, seen buildkit.Observed, during *span, repo *repository) seenFiles {
	f := seenFiles{reader: d.contents(repo), site: d.site(node, seen.Join)}
	if during != nil {
		f.pictures = during.pictures(repo)
		return f
	}
	f.past = &ledger.Past{Ended: time.Now()}
	if apart, ok := clocksApart(node.Info().Address); ok {
		f.past.Began, f.past.Ended = seen.Record.Created.Add(-apart), seen.Record.Completed.Add(apart)
	}
	if repo != nil {
		if s, err := repo.fresh(ctx); err == nil && s.picture != nil {
			f.pictures = []*project.Picture{s.picture}
		}
	}
	return f
}

// attribute says which definition the build was of. One that is met for the first time is sent
// the files of another of the same Dockerfile and folder.
func (f *seenFiles) attribute(def buildctx.Definition, j buildkit.Join) {
	f.name = def.Name
	if len(f.pictures) == 0 {
		return
	}
	if _, known := f.pictures[0].Find(def.Name); known {
		return
	}
	folder, file := def.Context, def.Dockerfile
	if folder == "" {
		folder, file = j.LocalContext, dockerfilePath(j)
	}
	for _, b := range f.pictures[0].Builds {
		if b.Selection != nil && b.Definition.Dockerfile != "" && samePath(b.Definition.Context, folder) && samePath(b.Definition.Dockerfile, file) {
			f.name = b.Definition.Name
			return
		}
	}
}

// watched returns what the repository held while it was looked at, nil if nobody did.
func (f seenFiles) watched() []*project.Picture {
	if f.past != nil {
		return nil
	}
	return f.pictures
}

// clocksApart returns by how much the clock of the builder at an address may differ
// from the one that stamps files; false if that is not known. Through a socket of
// this machine it is one clock, which stamps files with the time of its last tick; a
// container's may be that of a virtual machine.
func clocksApart(address string) (time.Duration, bool) {
	switch {
	case strings.HasPrefix(address, "unix://"):
		return 20 * time.Millisecond, true
	case strings.HasPrefix(address, "docker-container://") && !strings.Contains(address, "context="):
		return 2 * time.Second, true
	}
	return 0, false
}

// sent returns what the requests of a plan brought.
func (f seenFiles) sent(ctx context.Context, plan *dockerfile.Plan) *ledger.Sent {
	if f.past == nil || len(f.pictures) == 0 {
		return f.reader.Sent(ctx, plan, f.name, f.pictures...)
	}
	return f.reader.Before(ctx, plan, f.name, f.pictures[0], *f.past)
}

// received notes what the build left of the files on the builder. Of one that
// failed it is not known what it asked for, and so not whether it got that far.
func (f seenFiles) received(ctx context.Context, seen buildkit.Observed) {
	if len(f.pictures) == 0 {
		return
	}
	var plan *dockerfile.Plan
	whole := len(seen.Parts) > 0
	if whole {
		plan = seen.Parts[0].Plan
	} else if b, ok := f.pictures[0].Find(f.name); ok && b.Selection != nil {
		plan = b.Selection.Plan
	} else {
		return
	}
	if f.past == nil {
		f.reader.Received(ctx, plan, f.name, f.site, whole, f.pictures...)
	} else {
		f.reader.ReceivedBefore(ctx, plan, f.name, f.site, whole, f.pictures[0], *f.past)
	}
}
