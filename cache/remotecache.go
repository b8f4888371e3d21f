package cache

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/moby/buildkit/cache/remotecache/v1/types"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// maxRemoteBlob is how much BuildKit reads of a manifest or a configuration of a cache
// (BuildKit: remotecache.readBlob).
const maxRemoteBlob = 1 << 20

// A RemoteCache is what a cache that builds exported holds: keys, how they follow from each
// other, and which have results. It is immutable.
type RemoteCache struct{ chains []chain }

// A chain is what one export wrote (BuildKit: cacheimporttypes.CacheConfig).
type chain struct {
	records []cacheimporttypes.CacheRecord
	lives   []bool // which records have a result that is there
}

// Records returns how many keys r holds.
func (r *RemoteCache) Records() int {
	n := 0
	for _, c := range r.chains {
		n += len(c.records)
	}
	return n
}

// ReadRemoteCache reads the cache that top describes: a cache of its own, or images that
// carry theirs (BuildKit: remotecache.contentCacheImporter). read returns the manifest
// or configuration that a descriptor names. A cache that BuildKit would refuse is an
// error.
func ReadRemoteCache(ctx context.Context, top ocispec.Descriptor, read func(context.Context, ocispec.Descriptor) ([]byte, error)) (*RemoteCache, error) {
	m, err := readManifest(ctx, top, read)
	if err != nil {
		return nil, err
	}
	if m.size > maxRemoteBlob {
		return nil, fmt.Errorf("the cache's manifest is larger than %d MB", maxRemoteBlob>>20)
	}
	config, have := m.Config, map[digest.Digest]bool{}
	for _, d := range append(m.Manifests, m.Layers...) {
		if have[d.Digest] = true; d.MediaType == cacheimporttypes.CacheConfigMediaTypeV0 {
			config = d
		}
	}
	if config.MediaType != cacheimporttypes.CacheConfigMediaTypeV0 {
		r := &RemoteCache{}
		return r, r.addInline(ctx, m, read, 0)
	}
	data, err := read(ctx, config)
	if err != nil {
		return nil, err
	}
	if len(data) > maxRemoteBlob {
		return nil, fmt.Errorf("the cache's configuration is larger than %d MB", maxRemoteBlob>>20)
	}
	var held cacheimporttypes.CacheConfig
	if err := json.Unmarshal(data, &held); err != nil {
		return nil, fmt.Errorf("read the cache's configuration: %w", err)
	}
	c, err := newChain(held, have)
	if err != nil {
		return nil, err
	}
	return &RemoteCache{[]chain{c}}, nil
}

// A manifest is one of an image, or an index.
type manifest struct {
	size      int
	Manifests []ocispec.Descriptor `json:"manifests"`
	Config    ocispec.Descriptor   `json:"config"`
	Layers    []ocispec.Descriptor `json:"layers"`
}

func readManifest(ctx context.Context, d ocispec.Descriptor, read func(context.Context, ocispec.Descriptor) ([]byte, error)) (manifest, error) {
	data, err := read(ctx, d)
	if err != nil {
		return manifest{}, err
	}
	m := manifest{size: len(data)}
	if err := json.Unmarshal(data, &m); err != nil {
		return manifest{}, fmt.Errorf("read manifest %s: %w", d.Digest, err)
	}
	if len(m.Manifests) > 0 && (len(m.Layers) > 0 || m.Config.Digest != "") {
		return manifest{}, fmt.Errorf("manifest %s is an index and an image", d.Digest)
	}
	return m, nil
}

// maxIndexes is how deep indexes may lie in indexes.
const maxIndexes = 4

// addInline adds the caches that images carry in their configurations.
func (r *RemoteCache) addInline(ctx context.Context, m manifest, read func(context.Context, ocispec.Descriptor) ([]byte, error), depth int) error {
	if depth > maxIndexes {
		return errors.New("the cache's indexes lie too deep in each other")
	}
	for _, d := range m.Manifests {
		inner, err := readManifest(ctx, d, read)
		if err != nil {
			return err
		}
		if err := r.addInline(ctx, inner, read, depth+1); err != nil {
			return err
		}
	}
	if m.Config.Digest == "" || len(m.Layers) == 0 {
		return nil
	}
	data, err := read(ctx, m.Config)
	if err != nil {
		return err
	}
	var image struct {
		RootFS struct {
			DiffIDs []digest.Digest `json:"diff_ids"`
		} `json:"rootfs"`
		Cache []byte `json:"moby.buildkit.cache.v0"`
	}
	if err := json.Unmarshal(data, &image); err != nil {
		return fmt.Errorf("read the configuration of an image: %w", err)
	}
	if len(image.RootFS.DiffIDs) != len(m.Layers) || image.Cache == nil {
		return nil
	}
	var held cacheimporttypes.CacheConfig
	if err := json.Unmarshal(image.Cache, &held.Records); err != nil {
		return fmt.Errorf("read the cache in the configuration of an image: %w", err)
	}
	have := map[digest.Digest]bool{}
	for i, l := range m.Layers {
		have[l.Digest] = true
		held.Layers = append(held.Layers, cacheimporttypes.CacheLayer{Blob: l.Digest, ParentIndex: i - 1})
	}
	c, err := newChain(held, have)
	if err != nil {
		return err
	}
	r.chains = append(r.chains, c)
	return nil
}

// newChain checks what an export wrote, of which have are the blobs that are there
// (BuildKit: cacheimport.ParseConfig).
func newChain(held cacheimporttypes.CacheConfig, have map[digest.Digest]bool) (chain, error) {
	c := chain{records: held.Records, lives: make([]bool, len(held.Records))}
	for i, rec := range held.Records {
		for _, links := range rec.Inputs {
			if len(links) == 0 {
				return chain{}, fmt.Errorf("record %d of the cache takes in nothing", i)
			}
			for _, l := range links {
				if l.LinkIndex < 0 || l.LinkIndex >= len(held.Records) {
					return chain{}, fmt.Errorf("record %d of the cache takes in one that is not there", i)
				}
				if unkept(held.Records[l.LinkIndex]) {
					return chain{}, fmt.Errorf("record %d of the cache takes in files that were sent for one build", i)
				}
			}
		}
		for _, res := range rec.Results {
			there, err := layersThere(held.Layers, res.LayerIndex, have)
			if err != nil {
				return chain{}, err
			}
			c.lives[i] = c.lives[i] || there
		}
		for _, res := range rec.ChainedResults {
			there := true
			for _, at := range res.LayerIndexes {
				if at < 0 || at >= len(held.Layers) {
					return chain{}, fmt.Errorf("record %d of the cache has a layer that is not there", i)
				}
				there = there && have[held.Layers[at].Blob]
			}
			c.lives[i] = c.lives[i] || there
		}
	}
	return c, c.checkLoops()
}

// unkept reports a record of files that were sent for one build, which is of no use to
// another.
func unkept(rec cacheimporttypes.CacheRecord) bool {
	return strings.HasPrefix(string(rec.Digest), "random:")
}

// layersThere reports whether a layer and all below it are there.
func layersThere(layers []cacheimporttypes.CacheLayer, at int, have map[digest.Digest]bool) (bool, error) {
	for range len(layers) + 1 {
		if at < 0 || at >= len(layers) {
			return false, errors.New("a result of the cache has a layer that is not there")
		}
		if !have[layers[at].Blob] {
			return false, nil
		}
		if at = layers[at].ParentIndex; at == -1 {
			return true, nil
		}
	}
	return false, errors.New("layers of the cache lie on each other in a loop")
}

// checkLoops returns an error if a record takes itself in.
func (c chain) checkLoops() error {
	waits, next := make([]int, len(c.records)), make([][]int, len(c.records))
	var open []int
	for i, rec := range c.records {
		for _, links := range rec.Inputs {
			for _, l := range links {
				waits[i]++
				next[l.LinkIndex] = append(next[l.LinkIndex], i)
			}
		}
		if waits[i] == 0 {
			open = append(open, i)
		}
	}
	done := 0
	for ; len(open) > 0; done++ {
		i := open[len(open)-1]
		open = open[:len(open)-1]
		for _, n := range next[i] {
			if waits[n]--; waits[n] == 0 {
				open = append(open, n)
			}
		}
	}
	if done < len(c.records) {
		return errors.New("records of the cache take each other in, in a loop")
	}
	return nil
}

// With returns m with what caches elsewhere hold, for a build of g that looks into
// them, too: the solver asks all, and takes what any has. Of a key that is the same in
// two of them it sees that of the one which answers first, and looks for results there
// (BuildKit: solver.combinedCacheManager.Query): what several hold is perhaps found.
// known is g by the digests that m knows.
func (m *Mirror) With(remotes []*RemoteCache, g, known Graph) *Mirror {
	next := m.clone()
	next.elsewhere = map[KeyID]string{}
	ops, roots, selectors := map[string]operand{}, map[string]KeyID{}, map[string]string{"": ""}
	for i, n := range g.Nodes {
		for j, d := range n.Digests {
			to := known.Nodes[i].Digests[j]
			ops[rootID(d, n.Output)] = operand{digest: to, output: n.Output}
			roots[rootID(d, n.Output)] = rootKey(to, n.Output)
		}
		for j, in := range n.Inputs {
			to := known.Nodes[i].Inputs[j]
			selectors[in.Selector] = to.Selector
			if in.Content != "" {
				roots[in.Content] = contentKey(to.Content)
			}
		}
	}
	life, chains := Live, 0
	for _, remote := range remotes {
		if chains += len(remote.chains); chains > 1 {
			life = Perhaps
		}
	}
	for r, remote := range remotes {
		for c, chain := range remote.chains {
			next.addChain(chain, fmt.Sprintf("elsewhere %d %d ", r, c), life, ops, roots, selectors)
		}
	}
	next.stale, next.news = m != nil && m.stale, news{}
	return next
}

// addChain adds what ops, roots and selectors give the names of that m knows; life is
// that of its results. Keys that follow from others are m's own only where they are met
// in the same cache.
func (m *Mirror) addChain(c chain, name string, life Life, ops map[string]operand, roots map[string]KeyID, selectors map[string]string) {
	key := func(record int) KeyID {
		rec := c.records[record]
		if root, ok := roots[string(rec.Digest)]; ok && len(rec.Inputs) == 0 {
			return root
		}
		k := KeyID(fmt.Sprint(name, record))
		m.elsewhere[k] = name
		return k
	}
	for i, rec := range c.records {
		if unkept(rec) {
			continue
		}
		if k := key(i); c.lives[i] && m.results[k] != Live {
			m.mark(k, life)
		}
		op, ok := ops[string(rec.Digest)]
		for input := 0; ok && input < len(rec.Inputs); input++ {
			for _, l := range rec.Inputs[input] {
				if selector, ok := selectors[l.Selector]; ok {
					m.connect(Link{From: key(l.LinkIndex), Input: input, Output: op.output, Digest: op.digest, Selector: selector}, key(i))
				}
			}
		}
	}
}
