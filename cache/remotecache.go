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

// A RemoteCache is what a cache holds that builds exported: keys, the links between them, and
// which of them have results. It is immutable.
type RemoteCache struct{ chains []chain }

// A chain is what one export wrote (BuildKit: cacheimporttypes.CacheConfig).
type chain struct {
	records []cacheimporttypes.CacheRecord // keys, with the links to each
	results [][]*Layer                     // by record: the topmost layers of results that are there
}

// A Layer is one layer of a result in a cache elsewhere, and what a builder that imported it
// lists it as (BuildKit: worker/base.Worker.FromRemote). A builder that had the layer before
// keeps what it listed it as.
type Layer struct {
	Blob    string    // its digest
	Record  string    // what it is listed as: see dockerfile.Op.Record
	Created time.Time // when it was made, as it is listed; zero if that is when it was imported
	Below   *Layer    // the layer on which it lies, nil for none
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

// The annotations of a layer that decide what a builder lists it as.
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

// A readFunc returns the manifest or configuration that a descriptor names.
type readFunc = func(context.Context, ocispec.Descriptor) ([]byte, error)

// ReadRemoteCache reads the cache that top describes: an exported cache, or images that
// carry the cache of their own build (BuildKit: remotecache.contentCacheImporter). read
// returns the manifest or configuration that a descriptor names. It is an error if BuildKit
// would refuse the cache.
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

// A manifest is one of an image or of a cache, or an index of manifests.
type manifest struct {
	size      int
	Manifests []ocispec.Descriptor `json:"manifests"`
	Config    ocispec.Descriptor   `json:"config"`
	Layers    []ocispec.Descriptor `json:"layers"`
}

// readManifest reads the manifest that d names.
func readManifest(ctx context.Context, d ocispec.Descriptor, read readFunc) (manifest, error) {
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

// addInline adds the caches that the image of m carries in its configuration, or those of an
// index do. depth is how many indexes m lies in.
func (r *RemoteCache) addInline(ctx context.Context, m manifest, read readFunc, depth int) error {
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
	var image imageConfig
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
			l.Annotations = annotated(l, made[i])
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

// An imageConfig is what counts here of an image's configuration.
type imageConfig struct {
	RootFS struct {
		DiffIDs []digest.Digest `json:"diff_ids"`
	} `json:"rootfs"`
	Cache   []byte            `json:"moby.buildkit.cache.v0"` // records, without layers
	History []ocispec.History `json:"history"`
}

// annotated returns the annotations of a layer with those that the image's history of it
// replaces.
func annotated(l ocispec.Descriptor, made ocispec.History) map[string]string {
	all := maps.Clone(l.Annotations)
	if all == nil {
		all = map[string]string{}
	}
	if made.Created != nil {
		all[layerCreated] = made.Created.Format(time.RFC3339Nano)
	}
	if made.CreatedBy != "" {
		all[layerDescription] = made.CreatedBy
	}
	return all
}

// newChain returns the chain of what an export wrote, of which the blobs in have are there.
// It is an error if that is not well formed (BuildKit: cacheimport.ParseConfig).
func newChain(held cacheimporttypes.CacheConfig, have map[digest.Digest]Layer) (chain, error) {
	c := chain{records: held.Records, results: make([][]*Layer, len(held.Records))}
	layers := stack{held.Layers, have, map[int]*Layer{}}
	for i, rec := range held.Records {
		if err := c.checkInputs(i); err != nil {
			return chain{}, err
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

// checkInputs returns an error if the inputs of a record are not well formed.
func (c chain) checkInputs(record int) error {
	for _, links := range c.records[record].Inputs {
		if len(links) == 0 {
			return fmt.Errorf("record %d of the cache takes in nothing", record)
		}
		for _, l := range links {
			if l.LinkIndex < 0 || l.LinkIndex >= len(c.records) {
				return fmt.Errorf("record %d of the cache takes in one that is not there", record)
			}
			if ofOneBuild(c.records[l.LinkIndex]) {
				return fmt.Errorf("record %d of the cache takes in files that were sent for one build", record)
			}
		}
	}
	return nil
}

// ofOneBuild reports whether a record is of files that were sent for one build: no other
// build has its key.
func ofOneBuild(rec cacheimporttypes.CacheRecord) bool {
	return strings.HasPrefix(string(rec.Digest), "random:")
}

// A stack makes Layers of what an export says of layers, each only once.
type stack struct {
	layers []cacheimporttypes.CacheLayer
	have   map[digest.Digest]Layer // those that are there, by blob
	made   map[int]*Layer          // by index in layers; nil if it, or one below it, is not there
}

// top returns the layer at an index, with all below it; nil if one of them is not there.
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

// checkLoops returns an error if a record is made from itself.
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

// With returns m with what caches elsewhere hold, for a build of g that looks into them, too.
// The solver asks all caches and takes what any has. Of a key that two of them have it sees
// the one of the cache that answers first, and looks for results there (BuildKit:
// solver.combinedCacheManager.Query): so with several, a result is only perhaps found.
//
// g has BuildKit's own digests, as the caches have; known is the same graph with the digests
// that m knows.
func (m *Mirror) With(remotes []*RemoteCache, g, known Graph) *Mirror {
	next := m.clone()
	next.elsewhere, next.offers = map[KeyID]string{}, map[KeyID][]*Layer{}
	dict := newDictionary(g, known)
	life, chains := Live, 0
	for _, remote := range remotes {
		if chains += len(remote.chains); chains > 1 {
			life = Perhaps
		}
	}
	for r, remote := range remotes {
		for c, chain := range remote.chains {
			next.addChain(chain, fmt.Sprintf("elsewhere %d %d ", r, c), life, dict)
		}
	}
	next.stale, next.news = m != nil && m.stale, news{}
	return next
}

// A dictionary translates what a cache elsewhere says, in BuildKit's own digests, into what
// the mirror knows. It has the words that one graph needs.
type dictionary struct {
	operations map[string]operand // by id of digest and output; the input does not count
	roots      map[string]KeyID   // by id of a source or of content
	selectors  map[string]string
}

// newDictionary returns the dictionary from the digests of g to those of known.
func newDictionary(g, known Graph) dictionary {
	d := dictionary{map[string]operand{}, map[string]KeyID{}, map[string]string{"": ""}}
	for i, n := range g.Nodes {
		for j, digest := range n.Digests {
			id, to := rootID(digest, n.Output), known.Nodes[i].Digests[j]
			d.operations[id] = operand{digest: to, output: n.Output}
			d.roots[id] = rootKey(to, n.Output)
		}
		for j, in := range n.Inputs {
			to := known.Nodes[i].Inputs[j]
			d.selectors[in.Selector] = to.Selector
			if in.Content != "" {
				d.roots[in.Content] = contentKey(to.Content)
			}
		}
	}
	return d
}

// addChain adds what a cache of that name holds, as far as it can be translated; life is
// that of its results. Keys without inputs are the same in all caches, and others are new
// ones, of this cache alone.
func (m *Mirror) addChain(c chain, name string, life Life, dict dictionary) {
	key := func(record int) KeyID {
		rec := c.records[record]
		if root, ok := dict.roots[string(rec.Digest)]; ok && len(rec.Inputs) == 0 {
			return root
		}
		k := KeyID(fmt.Sprint(name, record))
		m.elsewhere[k] = name
		return k
	}
	for i, rec := range c.records {
		if ofOneBuild(rec) {
			continue
		}
		k := key(i)
		if len(c.results[i]) > 0 && m.results[k] != Live {
			m.mark(k, life)
		}
		m.offers[k] = append(m.offers[k], c.results[i]...)
		op, ok := dict.operations[string(rec.Digest)]
		for input := 0; ok && input < len(rec.Inputs); input++ {
			for _, l := range rec.Inputs[input] {
				if selector, ok := dict.selectors[l.Selector]; ok {
					m.connect(Link{From: key(l.LinkIndex), Input: input, Output: op.output, Digest: op.digest, Selector: selector}, key(i))
				}
			}
		}
	}
}
