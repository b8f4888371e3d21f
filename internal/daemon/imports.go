package daemon

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/cache/buildkit"
	buildctx "github.com/stokerd/stoker/context"
	registry "github.com/stokerd/stoker/internal/image"
)

const (
	// importTimeout bounds how long an answer waits for registries that keep caches.
	importTimeout = 5 * time.Second
	// mostImports is how many caches are kept as they were read.
	mostImports = 16
)

// imports has caches that were read from registries. They are known by digest, so they never
// change. They are kept in memory only, because caches have hashes of values of args. It is
// safe for concurrent use.
type imports struct {
	mu     sync.Mutex // guards the fields below
	read   map[imported]*cache.RemoteCache
	failed map[string]time.Time // when reading failed, by name
}

// imported is a cache that a builder can import.
type imported struct {
	account string // of the builder
	pinned  string // name and digest of the cache
}

func newImports() *imports {
	return &imports{read: map[imported]*cache.RemoteCache{}, failed: map[string]time.Time{}}
}

// elsewhere returns what the other caches hold that builds of def look into, and whether
// that is known for all of them. Registries are asked only if allowed says that this may
// be done for the repository.
func (d *Daemon) elsewhere(ctx context.Context, node *buildkit.Builder, def buildctx.Definition, allowed bool) (held []*cache.RemoteCache, all bool) {
	if len(def.Imports) == 0 {
		return nil, true
	}
	return d.lookInto(ctx, node, def.Imports, allowed)
}

// brought returns what the caches elsewhere hold that a build of repo, which may be nil,
// looked into; nil unless that is known for all of them.
func (d *Daemon) brought(ctx context.Context, node *buildkit.Builder, repo *repository, imports []buildctx.Import) []*cache.RemoteCache {
	if repo == nil || len(imports) == 0 {
		return nil
	}
	s := repo.state.Load()
	held, all := d.lookInto(ctx, node, imports, s != nil && s.picture != nil && repo.barred(s.picture) == "")
	if !all {
		return nil
	}
	return held
}

// lookInto returns the caches that imports name and that could be read, and whether these are
// all. No registry is asked unless allowed. It takes no longer than importTimeout.
func (d *Daemon) lookInto(ctx context.Context, node *buildkit.Builder, imports []buildctx.Import, allowed bool) (held []*cache.RemoteCache, all bool) {
	limited, cancel := context.WithTimeout(ctx, importTimeout)
	defer cancel()
	all = allowed
	for _, i := range imports {
		if i.Ref == "" || !allowed || d.imports.failing(i.Ref) {
			all = false
			continue
		}
		one, err := d.imports.lookUp(limited, node, d.account(node).name, i.Ref)
		switch {
		case err != nil:
			// Neither name nor error is logged: the name may hold the value of an arg.
			d.log.Debug("a cache elsewhere was not read")
			all = false
			if ctx.Err() == nil {
				d.imports.fail(i.Ref)
			}
		case one != nil:
			held = append(held, one)
		}
	}
	return held, all
}

// failing reports whether ref could not be read less than retryImage ago. Then it is not
// tried, because a registry that does not answer would delay every prediction.
func (i *imports) failing(ref string) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return time.Since(i.failed[ref]) < retryImage
}

// fail notes that ref could not be read.
func (i *imports) fail(ref string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.failed) >= mostImports {
		clear(i.failed)
	}
	i.failed[ref] = time.Now()
}

// lookUp returns the cache that a registry has as ref, nil if a build would find none there.
func (i *imports) lookUp(ctx context.Context, node *buildkit.Builder, account, ref string) (*cache.RemoteCache, error) {
	tag, err := registry.OpenTag(ctx, ref)
	if errors.Is(err, registry.ErrNoTag) {
		return nil, i.missing(ctx, node, ref, err)
	}
	if err != nil {
		return nil, err
	}
	key := imported{account, tag.Pinned()}
	i.mu.Lock()
	known := i.read[key]
	i.mu.Unlock()
	if known != nil {
		return known, nil
	}
	// The builder's registry of that name may be another.
	can, err := node.CanImport(ctx, tag.Pinned())
	if err != nil {
		return nil, err
	}
	if !can {
		return nil, errors.New("the builder cannot import what this machine finds")
	}
	held, err := cache.ReadRemoteCache(ctx, tag.Top(), tag.Read)
	if err != nil {
		return nil, err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.read) >= mostImports {
		clear(i.read)
	}
	i.read[key] = held
	return held, nil
}

// missing returns nil if the builder, too, finds no cache as ref, else why.
func (i *imports) missing(ctx context.Context, node *buildkit.Builder, ref string, why error) error {
	can, err := node.CanImport(ctx, ref)
	if err != nil {
		return err
	}
	if can {
		return why
	}
	return nil
}
