package buildkit

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/content/proxy"
	controlapi "github.com/moby/buildkit/api/services/control"
	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/stokerd/stoker/context/dockerfile"
)

// A predicate is what is read of a build's provenance (BuildKit:
// solver/llbsolver/provenance/types). Values of args and env variables are in
// there too, and are not kept.
type predicate struct {
	// SLSA v1.
	BuildDefinition struct {
		InternalParameters struct {
			BuildConfig *buildConfig `json:"buildConfig"`
		} `json:"internalParameters"`
		Dependencies []dependency `json:"resolvedDependencies"`
	} `json:"buildDefinition"`
	RunDetails struct {
		Metadata struct {
			BuildKit metadata `json:"buildkit_metadata"`
		} `json:"metadata"`
	} `json:"runDetails"`
	// SLSA v0.2, as older builders have it.
	BuildConfig *buildConfig `json:"buildConfig"`
	Materials   []dependency `json:"materials"`
	Metadata    struct {
		BuildKit metadata `json:"https://mobyproject.org/buildkit@v1#metadata"`
	} `json:"metadata"`
}

// A dependency is what a build got from an address, which may hold credentials.
type dependency struct {
	URI    string            `json:"uri"`
	Digest map[string]string `json:"digest"` // by algorithm
}

type buildConfig struct {
	// Definition holds values; nothing but dockerfile.ReadRecording reads it.
	Definition    json.RawMessage   `json:"llbDefinition"`
	DigestMapping map[string]string `json:"digestMapping"` // vertex digest → operation id
}

type metadata struct {
	Source struct {
		Locations map[string]locations `json:"locations"` // by operation id
		Infos     []sourceInfo         `json:"infos"`
	} `json:"source"`
}

type locations struct {
	Locations []location `json:"locations"`
}

type location struct {
	SourceIndex int `json:"sourceIndex"`
	Ranges      []struct {
		Start struct {
			Line int `json:"line"`
		} `json:"start"`
	} `json:"ranges"`
}

type sourceInfo struct {
	Filename string `json:"filename"`
	Data     []byte `json:"data"`
}

// A provenance is a predicate in the form in which it is used.
type provenance struct {
	config buildConfig
	source metadata
	gave   map[string]string // digests of what addresses gave
	// recording is what the operations were; nil if they cannot be read.
	recording *dockerfile.Recording
}

// places returns where in Dockerfiles the vertex comes from, each with the index of
// the file among infos.
func (p provenance) places(digest string) []location {
	return p.source.Source.Locations[p.config.DigestMapping[digest]].Locations
}

// line returns where in the Dockerfile an operation is written first, 0 if that is
// not known.
func (p provenance) line(id string) int {
	first := 0
	for _, l := range p.source.Source.Locations[id].Locations {
		for _, r := range l.Ranges {
			if l.SourceIndex == 0 && (first == 0 || r.Start.Line < first) {
				first = r.Start.Line
			}
		}
	}
	return first
}

// provenances reads those of all results of a build: one per platform, none
// for a build that failed.
func (b *Builder) provenances(ctx context.Context, rec *controlapi.BuildHistoryRecord) ([]provenance, error) {
	var all []provenance
	for _, r := range results(rec) {
		for _, a := range r.Attestations {
			if !strings.HasPrefix(a.Annotations["in-toto.io/predicate-type"], "https://slsa.dev/provenance/") {
				continue
			}
			p, err := b.readProvenance(ctx, a)
			if err != nil {
				return nil, err
			}
			if p.config.DigestMapping == nil {
				continue
			}
			if p.recording, err = dockerfile.ReadRecording(ctx, p.config.Definition, b.platform(), p.gave); err != nil {
				p.recording = nil // of a version that this one does not understand
			}
			p.config.Definition, p.gave = nil, nil
			all = append(all, p)
		}
	}
	return all, nil
}

// results returns those of a build, in the order of their platforms: what is made of
// them must not depend on that of a map.
func results(rec *controlapi.BuildHistoryRecord) []*controlapi.BuildResultInfo {
	var all []*controlapi.BuildResultInfo
	if rec.Result != nil {
		all = append(all, rec.Result)
	}
	for _, platform := range slices.Sorted(maps.Keys(rec.Results)) {
		all = append(all, rec.Results[platform])
	}
	return all
}

func (b *Builder) readProvenance(ctx context.Context, d *controlapi.Descriptor) (provenance, error) {
	dgst, err := digest.Parse(d.Digest)
	if err != nil {
		return provenance{}, fmt.Errorf("read provenance: %w", err)
	}
	store := proxy.NewContentStore(b.client.ContentClient())
	blob, err := content.ReadBlob(ctx, store, ocispecs.Descriptor{Digest: dgst, Size: d.Size, MediaType: d.MediaType})
	if err != nil {
		return provenance{}, fmt.Errorf("read provenance: %w", err)
	}
	return parseProvenance(blob)
}

func parseProvenance(blob []byte) (provenance, error) {
	// The blob is the predicate itself, or a statement around it.
	var statement struct {
		Predicate json.RawMessage `json:"predicate"`
	}
	if err := json.Unmarshal(blob, &statement); err != nil {
		return provenance{}, fmt.Errorf("parse provenance: %w", err)
	}
	if statement.Predicate != nil {
		blob = statement.Predicate
	}
	var p predicate
	if err := json.Unmarshal(blob, &p); err != nil {
		return provenance{}, fmt.Errorf("parse provenance: %w", err)
	}
	if c := p.BuildDefinition.InternalParameters.BuildConfig; c != nil {
		return provenance{config: *c, source: p.RunDetails.Metadata.BuildKit, gave: gave(p.BuildDefinition.Dependencies)}, nil
	}
	if p.BuildConfig != nil {
		return provenance{config: *p.BuildConfig, source: p.Metadata.BuildKit, gave: gave(p.Materials)}, nil
	}
	return provenance{}, nil
}

// gave returns the digests of dependencies by address.
func gave(list []dependency) map[string]string {
	digests := map[string]string{}
	for _, d := range list {
		for _, algorithm := range slices.Sorted(maps.Keys(d.Digest)) {
			digests[d.URI] = algorithm + ":" + d.Digest[algorithm]
		}
	}
	return digests
}
