// Of solver_test.go, which says why.

//go:build !race

package cache_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	cacheimport "github.com/moby/buildkit/cache/remotecache/v1"
	cacheimporttypes "github.com/moby/buildkit/cache/remotecache/v1/types"
	"github.com/moby/buildkit/identity"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/solver"
	"github.com/moby/buildkit/util/compression"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/stokerd/stoker/cache"
)

// An export is a cache that a build wrote, as a registry keeps it.
type export struct {
	config  []byte
	layers  cacheimport.DescriptorProvider
	results map[string]*result // by the digests of their layers: see remoteID
}

// export keeps what was built in a cache elsewhere: all of it, or what the last
// operation gave.
func (w *walk) export(t *testing.T, built solver.CachedResult, mode solver.CacheExportMode) {
	t.Helper()
	e := &export{results: map[string]*result{}}
	chains := cacheimport.NewCacheChains()
	opt := solver.CacheExportOpt{
		Mode: mode,
		ResolveRemotes: func(_ context.Context, r solver.Result) ([]*solver.Remote, error) {
			remote := &solver.Remote{}
			for _, layer := range r.Sys().(*result).layers {
				remote.Descriptors = append(remote.Descriptors, ocispec.Descriptor{Digest: digest.FromString(layer.id)})
				e.results[remoteID(remote)] = layer
			}
			return []*solver.Remote{remote}, nil
		},
	}
	for _, key := range built.CacheKeys() {
		if _, err := key.Exporter.ExportTo(t.Context(), chains, opt); err != nil {
			t.Fatal(err)
		}
	}
	config, layers, err := chains.Marshal(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if e.config, err = json.Marshal(config); err != nil {
		t.Fatal(err)
	}
	e.layers = layers
	w.exports = append(w.exports[max(0, len(w.exports)-1):], e)
}

// remoteID names a result as BuildKit's importer does (BuildKit: cacheimport.remoteID).
func remoteID(r *solver.Remote) string {
	var text string
	for _, d := range r.Descriptors {
		text += d.Digest.String()
	}
	return digest.FromString(text).String()
}

// read is what stoker reads of the cache.
func (e *export) read(t *testing.T) *cache.RemoteCache {
	t.Helper()
	config := ocispec.Descriptor{MediaType: cacheimporttypes.CacheConfigMediaTypeV0, Digest: digest.FromBytes(e.config)}
	index := ocispec.Index{Manifests: []ocispec.Descriptor{config}}
	for _, l := range e.layers {
		index.Manifests = append(index.Manifests, l.Descriptor)
	}
	top, err := json.Marshal(index)
	if err != nil {
		t.Fatal(err)
	}
	held, err := cache.ReadRemoteCache(t.Context(), ocispec.Descriptor{Digest: digest.FromBytes(top)}, func(_ context.Context, d ocispec.Descriptor) ([]byte, error) {
		if d.Digest == config.Digest {
			return e.config, nil
		}
		return top, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return held
}

// manager is what BuildKit imports. What it takes from there counts as loaded.
func (e *export) manager(t *testing.T, on *shelf) solver.CacheManager {
	t.Helper()
	chains := cacheimport.NewCacheChains()
	if err := cacheimport.Parse(e.config, e.layers, chains); err != nil {
		t.Fatal(err)
	}
	keys, _, err := cacheimport.NewCacheKeyStorage(chains, nil)
	if err != nil {
		t.Fatal(err)
	}
	return solver.NewCacheManager(t.Context(), identity.NewID(), keys, &importedResults{e, keys, on})
}

// importedResults gives the results of an export (BuildKit:
// cacheimport.cacheResultStorage, which needs a worker).
type importedResults struct {
	*export
	keys solver.CacheKeyStorage
	on   *shelf
}

func (r *importedResults) Save(solver.Result, time.Time) (solver.CacheResult, error) {
	return solver.CacheResult{}, errors.New("an export cannot be written to")
}

func (r *importedResults) Load(_ context.Context, res solver.CacheResult) (solver.Result, error) {
	held := r.results[res.ID]
	r.on.mu.Lock()
	defer r.on.mu.Unlock()
	r.on.loaded[held.does] = true
	return r.bring(held), nil
}

// bring returns a result as one of the builder's own: the same for as long as that has it
// (BuildKit: cache.cacheManager.GetByBlob).
func (r *importedResults) bring(held *result) *result {
	own := *held
	if own.id = r.on.of[held.id]; r.on.have[own.id] == nil {
		own.id = identity.NewID()
		r.on.of[held.id] = own.id
		r.on.fresh[own.id] = true
	}
	r.on.brought[held.does] = append(r.on.brought[held.does], own.id)
	return &own
}

// LoadWithParents also gives what the result lies on.
func (r *importedResults) LoadWithParents(ctx context.Context, res solver.CacheResult) (map[string]solver.Result, error) {
	if _, err := r.Load(ctx, res); err != nil {
		return nil, err
	}
	all, held := map[string]solver.Result{}, r.results[res.ID]
	err := r.keys.Walk(func(key string) error {
		return r.keys.WalkResults(key, func(c solver.CacheResult) error {
			if below := r.results[c.ID]; slices.Contains(held.layers, below) {
				r.on.mu.Lock()
				all[key] = r.bring(below)
				r.on.mu.Unlock()
			}
			return nil
		})
	})
	return all, err
}

func (r *importedResults) LoadRemotes(context.Context, solver.CacheResult, *compression.Config, session.Group) ([]*solver.Remote, error) {
	return nil, nil
}

func (r *importedResults) Exists(_ context.Context, id string) bool { return r.results[id] != nil }
