package buildkit

import (
	"testing"
	"time"

	controlapi "github.com/moby/buildkit/api/services/control"
	"github.com/moby/buildkit/client"
	"github.com/opencontainers/go-digest"
)

// TestTold: all operations of a build are known once one has begun that nobody else can
// have begun, for each platform, and if their names are those of Dockerfiles.
func TestTold(t *testing.T) {
	begun := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	vertex := func(id, name string, started, cached bool, inputs ...digest.Digest) *client.Vertex {
		v := &client.Vertex{Digest: digest.Digest(id), Name: name, Inputs: inputs, Cached: cached}
		if started {
			v.Started = &begun
		}
		return v
	}
	build := func(attrs map[string]string, vertices ...*client.Vertex) *Running {
		r := (*Builder)(nil).Running(Event{record: &controlapi.BuildHistoryRecord{FrontendAttrs: attrs}})
		r.seen.add(&client.SolveStatus{Vertexes: vertices})
		return r
	}
	base := vertex("base", "[1/3] FROM node:20", true, false)
	waiting, runs, cached := vertex("run", "[3/3] RUN x", false, false, "base"), vertex("run", "[3/3] RUN x", true, false, "base"), vertex("run", "[3/3] RUN x", true, true, "base")
	sent := vertex("files", "[internal] load build context", true, false)
	other := vertex("other", "[3/3] RUN y", true, false, "base")
	type attrs = map[string]string
	tests := []struct {
		name   string
		builds []*Running
		want   bool
	}{
		{"no build", nil, true},
		{"nothing was told", []*Running{build(attrs{})}, false},
		{"its Dockerfile is read", []*Running{build(attrs{}, vertex("def", "[internal] load build definition from Dockerfile", true, false))}, false},
		{"a step waits", []*Running{build(attrs{}, base, waiting)}, false},
		{"a step runs", []*Running{build(attrs{}, base, runs)}, true},
		{"a step counts as cached because what needs it began", []*Running{build(attrs{}, base, cached)}, false},
		{"what does not ignore the cache began", []*Running{build(attrs{}, base, waiting, vertex("dir", "[2/3] WORKDIR /w", true, false, "base"))}, false},
		{"its files are sent while its image is pulled", []*Running{build(attrs{}, base, waiting, sent)}, true},
		{"its files are sent for one platform of two", []*Running{build(attrs{"platform": "linux/amd64,linux/arm64"}, base, waiting, sent)}, false},
		{"the same files are sent for two", []*Running{build(attrs{}, base, runs, sent), build(attrs{}, base, waiting, sent)}, false},
		{"two run the same step", []*Running{build(attrs{}, base, runs), build(attrs{}, base, runs)}, false},
		{"two run others", []*Running{build(attrs{}, base, runs), build(attrs{}, base, other)}, true},
		{"one of two has not begun", []*Running{build(attrs{}, base, runs), build(attrs{})}, false},
		{"one runs what the other waits for", []*Running{build(attrs{}, base, runs), build(attrs{}, base, waiting, other)}, false},
		{"another stage runs", []*Running{build(attrs{"no-cache": "b"}, vertex("run", "[a 2/2] RUN x", true, false, "base"))}, false},
		{"its stage runs", []*Running{build(attrs{"no-cache": "b,A"}, vertex("run", "[a 2/2] RUN x", true, false, "base"))}, true},
		{"one platform of two runs", []*Running{build(attrs{"platform": "linux/amd64,linux/arm64"}, vertex("run", "[linux/amd64 3/3] RUN x", true, false, "base"))}, false},
		{"both run", []*Running{build(attrs{"platform": "linux/amd64,linux/arm64"}, vertex("run", "[linux/amd64 3/3] RUN x", true, false, "base"),
			vertex("cross", "[linux/amd64->arm64 3/3] RUN x", true, false, "base"))}, true},
		{"its own frontend", []*Running{build(attrs{}, vertex("image", "resolve image config for docker-image://docker.io/docker/dockerfile:1", true, false), base, runs)}, true},
		{"another frontend", []*Running{build(attrs{}, vertex("image", "resolve image config for docker-image://docker.io/some/frontend:1", true, false), base, runs)}, false},
		{"its own frontend by address", []*Running{build(attrs{"source": "docker/dockerfile:1.9", "cmdline": "docker/dockerfile:1.9"}, base, runs)}, true},
		{"another one by address", []*Running{build(attrs{"build-arg:BUILDKIT_SYNTAX": "host/dockerfile:1"}, base, runs)}, false},
		{"a context that is an image", []*Running{build(attrs{}, vertex("image", "[context base] docker-image://docker.io/some/base", true, false), base, runs)}, true},
	}
	for _, tt := range tests {
		if got := Told(tt.builds); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}
