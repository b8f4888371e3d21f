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

// TestPredictNoCacheBesideForeign: a build without cache is predicted to run its steps, even
// if the builder lists results that builds nobody saw may have made of the same steps.
func TestPredictNoCacheBesideForeign(t *testing.T) {
	own := lab.Own(t)
	dir, nonce := lab.Dir(t), strings.ToLower(rand.Text())
	write(t, filepath.Join(dir, "Dockerfile"), "FROM node:20\nCOPY src /src\nRUN echo "+nonce+"\n")
	write(t, filepath.Join(dir, "src"), nonce)
	other := walk{t: t, dir: dir, builder: dial(t, own.Address())}
	other.solve(client.SolveOpt{Internal: true}) // so that it is in no history

	r := startOn(t, own.Address())
	if _, err := r.Up(t.Context(), api.UpRequest{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	r.predicts(dir, "as others may have built it", "unknown unknown")
	write(t, filepath.Join(dir, "compose.yaml"), "services:\n  app:\n    build:\n      context: .\n      no_cache: true\n")
	r.predicts(dir, "without cache", "miss miss")
	ran := other.solve(client.SolveOpt{FrontendAttrs: map[string]string{"no-cache": ""}})
	for _, step := range []string{"[2/3]", "[3/3]"} {
		if !ran[step] {
			t.Errorf("the build without cache did not run %s: %v", step, ran)
		}
	}
}
