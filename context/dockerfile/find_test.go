package dockerfile_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stokerd/stoker/context/dockerfile"
)

func TestFind(t *testing.T) {
	lines := func(from, to int) dockerfile.Lines { return dockerfile.Lines{From: from, To: to} }
	p := &dockerfile.Plan{Steps: []dockerfile.Step{
		{Name: "[build 2/4] COPY src /src", Stage: "build", Index: 2, Total: 4, Lines: lines(2, 2)},
		{Name: "[build 3/4] COPY 7 /src", Stage: "build", Index: 3, Total: 4, Lines: lines(3, 5)},
		{Name: "[build 4/4] RUN make test", Stage: "build", Index: 4, Total: 4, Lines: lines(6, 6)},
		{Name: "[linux/amd64 stage-1 2/2] COPY src .", Platform: "linux/amd64", Index: 2, Total: 2, Lines: lines(8, 8)},
		{Name: "[linux/arm64 stage-1 2/2] COPY src .", Platform: "linux/arm64", Index: 2, Total: 2, Lines: lines(8, 8)},
	}}
	for text, want := range map[string][]int{
		"3": {1}, "2": {0, 3, 4}, "4": {2}, "7": nil, // an index, never a part of a name
		":2": {0}, ":4": {1}, "Dockerfile:8": {3, 4}, "docker/api.Dockerfile:6": {2}, ":7": nil,
		"[build 3/4]": {1}, "build 3/4": {1}, "build 3": {1}, "[build 3/4] COPY 7 /src": {1}, "stage-1 2": {3, 4},
		"[linux/arm64 stage-1 2/2]": {4}, "linux/arm64 stage-1 2": {4},
		"COPY src": {0, 3, 4}, "COPY /src": {0, 1}, "COPY src /src": {0}, "make": {2}, "RUN test": {2}, " make test ": {2},
		"": nil, "nothing": nil, "build 9": nil,
	} {
		if diff := cmp.Diff(want, p.Find(text)); diff != "" {
			t.Errorf("Find(%q): %s", text, diff)
		}
	}
}
