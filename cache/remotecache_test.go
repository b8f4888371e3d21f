package cache_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	cacheimport "github.com/moby/buildkit/cache/remotecache/v1"
	cacheimporttypes "github.com/moby/buildkit/cache/remotecache/v1/types"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/stokerd/stoker/cache"
)

// blobs are what a registry keeps, by digest.
type blobs map[digest.Digest][]byte

func (b blobs) put(mediaType string, v any) ocispec.Descriptor {
	data, ok := v.([]byte)
	if !ok {
		var err error
		if data, err = json.Marshal(v); err != nil {
			panic(err)
		}
	}
	d := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
	b[d.Digest] = data
	return d
}

func (b blobs) read(_ context.Context, d ocispec.Descriptor) ([]byte, error) {
	if data, ok := b[d.Digest]; ok {
		return data, nil
	}
	return nil, fmt.Errorf("there is no %s", d.Digest)
}

const (
	layerOne = digest.Digest("sha256:1111111111111111111111111111111111111111111111111111111111111111")
	layerTwo = digest.Digest("sha256:2222222222222222222222222222222222222222222222222222222222222222")
)

// A build of FROM base, RUN one, RUN two of which the second is kept with its layers.
const records = `[{"digest":"base"},{"digest":"one","inputs":[[{"link":0}]]},{"digest":"two","inputs":[[{"link":1}]],"layers":[{"layer":1}]}]`

func cacheConfig() []byte {
	return fmt.Appendf(nil, `{"layers":[{"blob":%q,"parent":-1},{"blob":%q,"parent":0}],"records":%s}`, layerOne, layerTwo,
		strings.NewReplacer(`"base"`, quoted("base"), `"one"`, quoted("one"), `"two"`, quoted("two")).Replace(records))
}

// quoted names the result of an operation as an exported cache does.
func quoted(op string) string { return fmt.Sprintf("%q", digest.FromString(op+"@0")) }

// TestReadRemoteCache: whatever way a build keeps its cache in a registry, the step
// that has a result there hits, and that which it lies on is not needed.
func TestReadRemoteCache(t *testing.T) {
	layers := []ocispec.Descriptor{{MediaType: ocispec.MediaTypeImageLayerGzip, Digest: layerOne}, {MediaType: ocispec.MediaTypeImageLayerGzip, Digest: layerTwo}}
	var inline struct {
		Records json.RawMessage
	}
	if err := json.Unmarshal(cacheConfig(), &inline); err != nil {
		t.Fatal(err)
	}
	image := func(cached []byte, ids ...digest.Digest) map[string]any {
		return map[string]any{"rootfs": map[string]any{"diff_ids": ids}, "moby.buildkit.cache.v0": cached}
	}
	for name, tt := range map[string]struct {
		put  func(b blobs) ocispec.Descriptor
		want string // what is predicted of the two steps, or the error
	}{
		"an index": {func(b blobs) ocispec.Descriptor {
			config := b.put(cacheimporttypes.CacheConfigMediaTypeV0, cacheConfig())
			return b.put("", ocispec.Index{Manifests: append(layers[:2:2], config)})
		}, "hit hit"},
		"an image manifest": {func(b blobs) ocispec.Descriptor {
			return b.put("", ocispec.Manifest{Config: b.put(cacheimporttypes.CacheConfigMediaTypeV0, cacheConfig()), Layers: layers})
		}, "hit hit"},
		"a layer is not there": {func(b blobs) ocispec.Descriptor {
			return b.put("", ocispec.Manifest{Config: b.put(cacheimporttypes.CacheConfigMediaTypeV0, cacheConfig()), Layers: layers[1:]})
		}, "miss miss"},
		"an image that carries it": {func(b blobs) ocispec.Descriptor {
			return b.put("", ocispec.Manifest{Config: b.put(ocispec.MediaTypeImageConfig, image(inline.Records, "a", "b")), Layers: layers})
		}, "hit hit"},
		"one of the images of an index": {func(b blobs) ocispec.Descriptor {
			other := b.put(ocispec.MediaTypeImageManifest, ocispec.Manifest{Config: b.put(ocispec.MediaTypeImageConfig, image(nil, "a")), Layers: layers[:1]})
			own := b.put(ocispec.MediaTypeImageManifest, ocispec.Manifest{Config: b.put(ocispec.MediaTypeImageConfig, image(inline.Records, "a", "b")), Layers: layers})
			return b.put("", ocispec.Index{Manifests: []ocispec.Descriptor{other, own}})
		}, "hit hit"},
		"an image without": {func(b blobs) ocispec.Descriptor {
			return b.put("", ocispec.Manifest{Config: b.put(ocispec.MediaTypeImageConfig, image(nil, "a", "b")), Layers: layers})
		}, "miss miss"},
		"an image that lacks a layer of its configuration": {func(b blobs) ocispec.Descriptor {
			return b.put("", ocispec.Manifest{Config: b.put(ocispec.MediaTypeImageConfig, image(inline.Records, "a")), Layers: layers})
		}, "miss miss"},
		"a manifest that is two things": {func(b blobs) ocispec.Descriptor {
			return b.put("", map[string]any{"manifests": layers, "layers": layers})
		}, "is an index and an image"},
		"more than BuildKit reads": {func(b blobs) ocispec.Descriptor {
			config := append(cacheConfig(), strings.Repeat(" ", 1<<20)...)
			return b.put("", ocispec.Manifest{Config: b.put(cacheimporttypes.CacheConfigMediaTypeV0, config), Layers: layers})
		}, "is larger than 1 MB"},
		"a configuration that is not there": {func(b blobs) ocispec.Descriptor {
			d := ocispec.Descriptor{MediaType: cacheimporttypes.CacheConfigMediaTypeV0, Digest: layerOne}
			return b.put("", ocispec.Manifest{Config: d, Layers: layers})
		}, "there is no sha256:1111"},
		"no JSON": {func(b blobs) ocispec.Descriptor { return b.put("", []byte("<html>")) }, "read manifest sha256:"},
	} {
		t.Run(name, func(t *testing.T) {
			kept := blobs{}
			held, err := cache.ReadRemoteCache(t.Context(), tt.put(kept), kept.read)
			if err != nil {
				if !strings.Contains(err.Error(), tt.want) {
					t.Fatalf("%v, want %s", err, tt.want)
				}
				return
			}
			g := cache.Graph{Targets: []int{2}, Nodes: []cache.Node{
				{Digests: []string{"base"}},
				{Digests: []string{"one"}, Inputs: []cache.Input{{Node: 0}}},
				{Digests: []string{"two"}, Inputs: []cache.Input{{Node: 1}}},
			}}
			var none *cache.Mirror
			got := none.With([]*cache.RemoteCache{held}, g, g).Predict(g)
			if words := fmt.Sprint(got[1].Forecast, " ", got[2].Forecast); words != tt.want {
				t.Errorf("predicted %s, want %s", words, tt.want)
			}
		})
	}
}

// FuzzRemoteCache: what BuildKit refuses to import is refused, and nothing makes the
// reader panic or hang.
func FuzzRemoteCache(f *testing.F) {
	f.Add(cacheConfig())
	f.Add([]byte(`{"records":[{"inputs":[[{"link":0}]]}]}`))
	f.Add([]byte(`{"records":[{"inputs":[[]]},{"inputs":[[{"link":7}]]}]}`))
	f.Add([]byte(`{"layers":[{"blob":"sha256:1111111111111111111111111111111111111111111111111111111111111111","parent":0}],"records":[{"layers":[{"layer":0}]}]}`))
	f.Add([]byte(`{"layers":[{"blob":"x","parent":-1}],"records":[{"chains":[{"layers":[0,1]}]}]}`))
	f.Add([]byte(`{"records":[{"digest":"random:1"},{"digest":"a","inputs":[[{"link":0}]]}]}`))
	f.Fuzz(func(t *testing.T, config []byte) {
		layers := cacheimport.DescriptorProvider{}
		var held cacheimporttypes.CacheConfig
		if json.Unmarshal(config, &held) == nil {
			for _, l := range held.Layers[:len(held.Layers)/2+len(held.Layers)%2] {
				layers[l.Blob] = cacheimport.DescriptorProviderPair{Descriptor: ocispec.Descriptor{Digest: l.Blob}}
			}
		}
		var list []ocispec.Descriptor
		for _, l := range layers {
			list = append(list, l.Descriptor)
		}
		kept := blobs{}
		top := kept.put("", ocispec.Manifest{Config: kept.put(cacheimporttypes.CacheConfigMediaTypeV0, config), Layers: list})
		read, err := cache.ReadRemoteCache(t.Context(), top, kept.read)
		refused := cacheimport.Parse(config, layers, cacheimport.NewCacheChains())
		if refused != nil && err == nil {
			t.Fatalf("BuildKit refuses this (%v), and %d records of it are read", refused, read.Records())
		}
	})
}
