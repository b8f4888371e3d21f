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

// imports knows what caches hold that are kept in registries. They are kept by digest,
// so that what is known stays true; they hold digests over values, so they are kept in
// memory only.
type imports struct {
	mu     sync.Mutex // guards the fields below
	read   map[imported]*cache.RemoteCache
	failed map[string]time.Time // by name, when it could not be read
}

// imported is a cache that a builder was seen to import.
type imported struct {
	account string
	pinned  string // name and digest
}

func newImports() *imports {
	return &imports{read: map[imported]*cache.RemoteCache{}, failed: map[string]time.Time{}}
}

// elsewhere returns what the caches hold that builds of def look into beside the
// builder's own, and whether it is known of all of them. Somebody else's registry is
// asked for a repository that is allowed only.
func (d *Daemon) elsewhere(ctx context.Context, node *buildkit.Builder, def buildctx.Definition, allowed bool) (held []*cache.RemoteCache, all bool) {
	if len(def.Imports) == 0 {
		return nil, true
	}
	limited, cancel := context.WithTimeout(ctx, importTimeout)
	defer cancel()
	all = allowed
	for _, i := range def.Imports {
		if i.Ref == "" || !allowed || d.imports.failing(i.Ref) {
			all = false
			continue
		}
		one, err := d.imports.of(limited, node, d.account(node).name, i.Ref)
		switch {
		case err != nil:
			// Its name may hold the value of an arg, and the error the name.
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

// failing reports whether a name could not be read a moment ago. It is left alone for
// a while: a registry that does not answer would hold up each prediction.
func (i *imports) failing(ref string) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return time.Since(i.failed[ref]) < retryImage
}

func (i *imports) fail(ref string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.failed) >= mostImports {
		clear(i.failed)
	}
	i.failed[ref] = time.Now()
}

// of returns what the cache holds that a registry keeps as ref, nil if a build would
// find none there.
func (i *imports) of(ctx context.Context, node *buildkit.Builder, account, ref string) (*cache.RemoteCache, error) {
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
