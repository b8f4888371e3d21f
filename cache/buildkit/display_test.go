package buildkit

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/solver/pb"
	"github.com/opencontainers/go-digest"

	"github.com/stokerd/stoker/context/dockerfile"
)

// TestDisplayShowsNoValue: everything that BuildKit names and that may hold the value of an arg is shown as the Dockerfile
// writes it, or by its kind.
func TestDisplayShowsNoValue(t *testing.T) {
	const value = "Zq7value"
	now := time.Now()
	names := []string{
		"[build 2/3] RUN echo " + value, "[linux/amd64 build 3/3] COPY " + value + " /", "[build 1/3] FROM docker.io/library/" + value + ":1",
		"[internal] load metadata for docker.io/library/" + value + ":1", "https://" + value + ".example/file", "[auth] " + value + ":pull",
		"docker-image://" + value, "local://" + value, "[context " + value + "] load metadata", value,
		"resolve image config for docker-image://" + value, "importing cache manifest from " + value, "[internal] settings cache mount permissions " + value,
	}
	s := &client.SolveStatus{}
	for _, name := range names {
		d := digest.FromString(name)
		s.Vertexes = append(s.Vertexes, &client.Vertex{
			Digest: d, Name: name, Started: &now, Completed: &now, ProgressGroup: &pb.ProgressGroup{Id: name, Name: name},
			Error: `process "/bin/sh -c echo ` + value + `" did not complete successfully: exit code: 7`,
		})
		s.Statuses = append(s.Statuses, &client.VertexStatus{Vertex: d, ID: "resolve docker.io/library/" + value, Name: value, Timestamp: now, Started: &now})
		s.Warnings = append(s.Warnings, &client.VertexWarning{Vertex: d, Short: []byte(value)})
	}
	var out bytes.Buffer
	d := Display{W: &out, Steps: []dockerfile.Step{
		{Stage: "build", Index: 2, Keyword: "RUN", Instruction: "RUN echo $VALUE"},
		{Stage: "build", Index: 3, Keyword: "RUN", Instruction: "RUN another file"},
	}}
	update, wait := d.show(t.Context())
	update(s)
	wait()
	if strings.Contains(out.String(), value) {
		t.Errorf("the value is shown:\n%s", out.String())
	}
	for _, want := range []string{"[build 2/3] RUN echo $VALUE", "[linux/amd64 build 3/3] COPY\n", "[build 1/3] FROM\n", "exit code 7"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not shown:\n%s", want, out.String())
		}
	}
	if len(s.Vertexes) != len(names) || s.Vertexes[0].Name != names[0] {
		t.Error("the status itself was changed")
	}
}
