package daemon

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"time"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/cache/buildkit"
	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/context/content"
	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/ledger"
	"github.com/stokerd/stoker/internal/project"
)

// seenFiles is what is known of the files that a build was sent. If the daemon saw the build
// begin and end, that is what its repository held at both times; else it is what the
// repository holds now, as far as that has not changed since.
type seenFiles struct {
	reader   *ledger.Reader
	site     ledger.Site
	name     string             // of the definition
	pictures []*project.Picture // of the beginning and the end, or one of now; may be empty
	stir     *ledger.Stir       // what was told of changes from the one to the other; may be nil
	began    time.Time          // the beginning by the builder's clock
	past     *ledger.Past       // when the build ran; nil if the daemon saw it
	// undescribed says that no definition describes the build, and none was made of it.
	undescribed bool
}

// gapOf returns why it is not known what a step took, from the error of asking.
func (f seenFiles) gapOf(err error) cache.Gap {
	var unstable *content.UnstableError
	switch {
	case errors.Is(err, ledger.ErrUndeclared), f.undescribed && errors.Is(err, ledger.ErrUnseen):
		return cache.Undeclared
	case errors.Is(err, ledger.ErrUnseen):
		return cache.Unwatched
	case errors.Is(err, cache.ErrStale):
		return cache.Unseen
	case errors.Is(err, ledger.ErrMoving), errors.As(err, &unstable):
		return cache.Moving
	}
	return cache.Unreadable
}

// filesOf returns what is known of the files of a build in repo, which may be nil. during is
// nil if the daemon did not see the build begin.
func (d *Daemon) filesOf(ctx context.Context, node *buildkit.Builder, seen buildkit.Observed, during *span, repo *repository) seenFiles {
	f := seenFiles{reader: d.contents(repo), site: d.site(node, seen.Join), began: seen.Record.Created}
	if during != nil {
		f.pictures, f.stir = during.pictures(repo), during.stir(repo)
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

// attribute says which definition the build was of. If the pictures do not have it yet, the
// files are those of another definition with the same Dockerfile and folder.
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

// watched returns the pictures if the daemon saw the build run, else nil.
func (f seenFiles) watched() []*project.Picture {
	if f.past != nil {
		return nil
	}
	return f.pictures
}

// clocksApart returns by how much the clock of the builder at an address may differ from the
// one that the file system uses; false if that is not known. Where the clock is the same, the
// time of a file still is that of the last tick of the kernel. A container may run in a virtual
// machine with a clock of its own, and so does what is behind a socket where it cannot run on
// the machine itself.
func clocksApart(address string) (time.Duration, bool) {
	switch {
	case sameClock(address):
		return 20 * time.Millisecond, true
	case strings.HasPrefix(address, "unix://"), strings.HasPrefix(address, "docker-container://") && !strings.Contains(address, "context="):
		return 2 * time.Second, true
	}
	return 0, false
}

// sameClock reports whether a builder at an address has the clock of this machine.
func sameClock(address string) bool {
	return runtime.GOOS == "linux" && strings.HasPrefix(address, "unix://")
}

// sent returns what the build sent for the requests of one of its parts.
func (f seenFiles) sent(ctx context.Context, part buildkit.Part) *ledger.Sent {
	if f.past != nil && len(f.pictures) > 0 {
		return f.reader.Before(ctx, part.Plan, f.name, f.pictures[0], *f.past)
	}
	stir := f.stir
	if stir != nil {
		// A file that is edited and then asked for was sent as the first picture shows it.
		later := *stir
		later.Delays = map[int]time.Duration{}
		for i, op := range part.Plan.Ops {
			if src := op.Source; src != nil && src.Request >= 0 && !part.Runs[i].Started.IsZero() {
				later.Delays[src.Request] = max(0, part.Runs[i].Started.Sub(f.began))
			}
		}
		stir = &later
	}
	return f.reader.Stirred(ctx, part.Plan, f.name, stir, f.pictures...)
}

// received notes which files the builder has after the build. Which files a failed build
// asked for is not known, so the builder may have them or not.
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
