package buildkit

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/buildkit/client"
	"github.com/opencontainers/go-digest"

	"github.com/stokerd/stoker/cache"
)

// TestRemoteUse: what went on at once counts once, and what failed counts. Of layers those that
// were fetched for imported steps count, each by its own time: the vertex of a step begins anew
// with each of them.
func TestRemoteUse(t *testing.T) {
	at := func(seconds float64) *time.Time {
		t := time.Unix(1_000_000, 0).Add(time.Duration(seconds * float64(time.Second)))
		return &t
	}
	r := newReplay()
	vertex := func(name string, from, to float64, err string) digest.Digest {
		v := client.Vertex{Digest: digest.FromString(name), Name: name, Started: at(from), Completed: at(to), Error: err}
		r.add(&client.SolveStatus{Vertexes: []*client.Vertex{&v}})
		return v.Digest
	}
	status := func(of digest.Digest, id string, from, to *time.Time) {
		r.add(&client.SolveStatus{Statuses: []*client.VertexStatus{{ID: id, Vertex: of, Started: from, Completed: to}}})
	}
	vertex("importing cache manifest from registry.example/gone", 0, 1, "not found")
	vertex("importing cache manifest from registry.example/shop", 0.5, 2, "")
	brought, base := vertex("[2/3] RUN npm ci", 9, 10, ""), vertex("[1/3] FROM node:20", 2, 3, "")
	status(base, "sha256:11", at(2), at(3))
	status(brought, "sha256:22", at(3), nil)
	status(brought, "sha256:22", at(3), at(5))
	status(brought, "sha256:33", at(4), at(6))
	status(brought, "extracting sha256:22", at(9), at(10))
	image := vertex("exporting to image", 10, 20, "")
	status(image, "exporting layers", at(10), at(12))
	status(image, "preparing layers for inline cache", at(12), at(13))
	written := vertex("exporting cache to registry", 12.5, 15, "")
	status(written, "writing layer sha256:22", at(13), at(14))
	vertex("exporting to GitHub Actions Cache", 14, 16, "denied")

	o := observation{seen: r, groups: []*group{{digests: []string{brought.String()}}}}
	want := cache.RemoteUse{Export: 4, Import: 2, Fetch: 4, Read: true}
	if diff := cmp.Diff(want, o.remoteUse([]cache.Step{{Outcome: cache.Imported}})); diff != "" {
		t.Errorf("with an imported step (-want +got):\n%s", diff)
	}
	want.Fetch = 0
	if diff := cmp.Diff(want, o.remoteUse([]cache.Step{{Outcome: cache.Executed}})); diff != "" {
		t.Errorf("with a step that ran (-want +got):\n%s", diff)
	}
	r.vertices[digest.FromString("importing cache manifest from registry.example/shop").String()].Error = "denied"
	if o.remoteUse([]cache.Step{{}}).Read {
		t.Error("a cache could be read, although both imports failed")
	}
	if got := (&observation{seen: newReplay()}).remoteUse(nil); got != (cache.RemoteUse{}) {
		t.Errorf("a build without remote caches has %+v", got)
	}
}
