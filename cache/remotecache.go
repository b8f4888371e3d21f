package cache

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/moby/buildkit/cache/remotecache/v1/types"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/stokerd/stoker/context/dockerfile"
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
	results [][]*Layer // of each record, those that are there
}

// A Layer is one that a cache elsewhere holds, as a builder lists it that has imported it
// (BuildKit: worker/base.Worker.FromRemote). A builder that had it before lists it as it
// did.
type Layer struct {
	Blob    string
	Record  string    // what it is listed as: see dockerfile.Op.Record
	Created time.Time // when it was made, by that list; zero if the builder notes when it imported it
	Below   *Layer    // what it lies on, nil for nothing
}

// layerOf returns what a descriptor says of a layer.
func layerOf(d ocispec.Descriptor) Layer {
	l := Layer{Blob: d.Digest.String(), Record: dockerfile.RecordOf("imported " + d.Digest.String())}
	if text := d.Annotations[layerDescription]; text != "" {
		l.Record = dockerfile.RecordOf(text)
	}
	if at, err := time.Parse(time.RFC3339, d.Annotations[layerCreated]); err == nil {
		l.Created = at.UTC()
	}
	return l
}

// The annotations of layers that a builder goes by.
const (
	layerCreated     = "buildkit/createdat"
	layerDescription = "buildkit/description"
)

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
	config, have := m.Config, map[digest.Digest]Layer{}
	for _, d := range append(m.Manifests, m.Layers...) {
		if have[d.Digest] = layerOf(d); d.MediaType == cacheimporttypes.CacheConfigMediaTypeV0 {
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
		Cache   []byte            `json:"moby.buildkit.cache.v0"`
		History []ocispec.History `json:"history"`
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
	have, made := map[digest.Digest]Layer{}, slices.DeleteFunc(image.History, func(h ocispec.History) bool { return h.EmptyLayer })
	for i, l := range m.Layers {
		if i < len(made) {
			l.Annotations = maps.Clone(l.Annotations)
			if l.Annotations == nil {
				l.Annotations = map[string]string{}
			}
			if made[i].Created != nil {
				l.Annotations[layerCreated] = made[i].Created.Format(time.RFC3339Nano)
			}
			if made[i].CreatedBy != "" {
				l.Annotations[layerDescription] = made[i].CreatedBy
			}
		}
		have[l.Digest] = layerOf(l)
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
func newChain(held cacheimporttypes.CacheConfig, have map[digest.Digest]Layer) (chain, error) {
	c, layers := chain{records: held.Records, results: make([][]*Layer, len(held.Records))}, stack{held.Layers, have, map[int]*Layer{}}
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
			top, err := layers.top(res.LayerIndex)
			if err != nil {
				return chain{}, err
			}
			if top != nil {
				c.results[i] = append(c.results[i], top)
			}
		}
		for _, res := range rec.ChainedResults {
			var top *Layer
			there := true
			for _, at := range res.LayerIndexes {
				if at < 0 || at >= len(held.Layers) {
					return chain{}, fmt.Errorf("record %d of the cache has a layer that is not there", i)
				}
				l, ok := have[held.Layers[at].Blob]
				l.Below = top
				there, top = there && ok, &l
			}
			if there {
				c.results[i] = append(c.results[i], top)
			}
		}
	}
	return c, c.checkLoops()
}

// unkept reports a record of files that were sent for one build, which is of no use to
// another.
func unkept(rec cacheimporttypes.CacheRecord) bool {
	return strings.HasPrefix(string(rec.Digest), "random:")
}

// A stack is the layers of an export.
type stack struct {
	layers []cacheimporttypes.CacheLayer
	have   map[digest.Digest]Layer
	made   map[int]*Layer // of those that were asked for; nil where one below is not there
}

// top returns a layer with all below it, nil if one is not there.
func (s stack) top(at int) (*Layer, error) {
	var open []int
	var below *Layer
	for at != -1 || len(open) == 0 {
		if at < 0 || at >= len(s.layers) {
			return nil, errors.New("a result of the cache has a layer that is not there")
		}
		if len(open) > len(s.layers) {
			return nil, errors.New("layers of the cache lie on each other in a loop")
		}
		known, ok := s.made[at]
		if ok && known != nil {
			below = known
			break
		}
		if _, there := s.have[s.layers[at].Blob]; ok || !there {
			for _, i := range append(open, at) {
				s.made[i] = nil
			}
			return nil, nil
		}
		open = append(open, at)
		at = s.layers[at].ParentIndex
	}
	for _, i := range slices.Backward(open) {
		l := s.have[s.layers[i].Blob]
		l.Below = below
		s.made[i], below = &l, &l
	}
	return below, nil
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
	next.elsewhere, next.offers = map[KeyID]string{}, map[KeyID][]*Layer{}
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
		k := key(i)
		if len(c.results[i]) > 0 && m.results[k] != Live {
			m.mark(k, life)
		}
		m.offers[k] = append(m.offers[k], c.results[i]...)
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
