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

// A predicate has the fields of a build's provenance that are used here (BuildKit:
// solver/llbsolver/provenance/types). The provenance also has values of args and
// environment variables, which are not kept.
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

// A dependency is a source that a build fetched. Its URI may contain credentials.
type dependency struct {
	URI    string            `json:"uri"`
	Digest map[string]string `json:"digest"` // by algorithm
}

type buildConfig struct {
	// Definition contains values of args; only dockerfile.ReadRecording reads it.
	Definition    json.RawMessage   `json:"llbDefinition"`
	DigestMapping map[string]string `json:"digestMapping"` // vertex digest → operation id
}

// metadata says which lines of which files the operations come from.
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

// firstLine returns the first line of a location, false if it has no lines.
func (l location) firstLine() (line int, ok bool) {
	for i, r := range l.Ranges {
		if i == 0 || r.Start.Line < line {
			line = r.Start.Line
		}
	}
	return line, len(l.Ranges) > 0
}

// A provenance is what is used of the predicate for one platform.
type provenance struct {
	config  buildConfig
	source  metadata
	fetched map[string]string // URI of a source → digest of what was fetched
	// recording has the operations; nil if they cannot be read.
	recording *dockerfile.Recording
}

// places returns the locations that the vertex comes from.
func (p provenance) places(digest string) []location {
	return p.source.Source.Locations[p.config.DigestMapping[digest]].Locations
}

// makes reports whether an operation comes from an instruction, which begins at the
// line.
func (p provenance) makes(line int) bool {
	for _, from := range p.source.Source.Locations {
		for _, l := range from.Locations {
			if first, ok := l.firstLine(); ok && first == line {
				return true
			}
		}
	}
	return false
}

// line returns the first line of the Dockerfile that the operation comes from, 0 if
// that is unknown.
func (p provenance) line(id string) int {
	first := 0
	for _, l := range p.source.Source.Locations[id].Locations {
		if line, ok := l.firstLine(); ok && l.SourceIndex == 0 && (first == 0 || line < first) {
			first = line
		}
	}
	return first
}

// provenances reads the provenance of all results of a build: one per platform, none
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
			if p.recording, err = dockerfile.ReadRecording(ctx, p.config.Definition, b.platform(), p.fetched); err != nil {
				p.recording = nil // written by a BuildKit whose format is unknown here
			}
			p.config.Definition, p.fetched = nil, nil
			all = append(all, p)
		}
	}
	return all, nil
}

// results returns the results of a build, ordered by platform so that nothing depends
// on the order of a map.
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

// readProvenance reads one attestation from the builder's content store.
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

// parseProvenance parses a predicate, or an in-toto statement with one. The result
// has no config if the predicate has none.
func parseProvenance(blob []byte) (provenance, error) {
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
		return provenance{config: *c, source: p.RunDetails.Metadata.BuildKit, fetched: digestsByURI(p.BuildDefinition.Dependencies)}, nil
	}
	if p.BuildConfig != nil {
		return provenance{config: *p.BuildConfig, source: p.Metadata.BuildKit, fetched: digestsByURI(p.Materials)}, nil
	}
	return provenance{}, nil
}

// digestsByURI returns the digests of dependencies.
func digestsByURI(list []dependency) map[string]string {
	digests := map[string]string{}
	for _, d := range list {
		for _, algorithm := range slices.Sorted(maps.Keys(d.Digest)) {
			digests[d.URI] = algorithm + ":" + d.Digest[algorithm]
		}
	}
	return digests
}
