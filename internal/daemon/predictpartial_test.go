package daemon_test

import (
	"crypto/rand"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/buildkit/client"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/lab"
)

// TestPredictPartial: a COPY --link on an imported result does not have the layers of that fetched.
// A build that does not import them does not find it, and nothing promises that it does.
func TestPredictPartial(t *testing.T) {
	for _, form := range []string{"a cache of its own", "an image that carries it"} {
		t.Run(form, func(t *testing.T) { testPartial(t, form == "an image that carries it") })
	}
}

// testPartial is TestPredictPartial with a cache that is in an image if inline is true.
func testPartial(t *testing.T, inline bool) {
	own := lab.Own(t)
	r := startOn(t, own.Address())
	dir, nonce := lab.Dir(t), strings.ToLower(rand.Text())
	write(t, filepath.Join(dir, "Dockerfile"), "FROM node:20\nRUN echo "+nonce+" > /one\nCOPY --link src /src\n")
	write(t, filepath.Join(dir, "src"), nonce)
	write(t, filepath.Join(dir, "stoker.yaml"), "prewarm: {level: off}\n")
	if _, err := r.Up(t.Context(), api.UpRequest{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Allow(t.Context(), api.AllowRequest{Dir: dir, Pulls: true}); err != nil {
		t.Fatal(err)
	}
	other := walk{t: t, dir: dir, builder: dial(t, own.Address())}
	ref := own.Registry() + "/" + nonce + ":cache"
	export := client.SolveOpt{CacheExports: []client.CacheOptionsEntry{{Type: "registry", Attrs: map[string]string{"ref": ref}}}}
	if inline {
		export = client.SolveOpt{
			CacheExports: []client.CacheOptionsEntry{{Type: "inline"}},
			Exports:      []client.ExportEntry{{Type: client.ExporterImage, Attrs: map[string]string{"name": ref, "push": "true"}}},
		}
	}
	other.solve(export)
	r.recorded(dir, &other) // by then the build has released its results
	if err := other.builder.Prune(t.Context(), nil, client.PruneAll); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "src"), "edited "+nonce)
	ran := other.solve(client.SolveOpt{CacheImports: []client.CacheOptionsEntry{{Type: "registry", Attrs: map[string]string{"ref": ref}}}})
	if ran["[2/3]"] || !ran["[3/3]"] {
		t.Fatalf("executed with the import: %v, want the COPY alone", ran)
	}
	r.recorded(dir, &other)
	r.predicts(dir, "with nothing fetched", "unknown unknown")
	if ran = other.solve(client.SolveOpt{}); !ran["[2/3]"] || !ran["[3/3]"] {
		t.Fatalf("executed without the import: %v, want both", ran)
	}
	r.recorded(dir, &other)
	r.predicts(dir, "after a build without the import", "hit hit")
}
