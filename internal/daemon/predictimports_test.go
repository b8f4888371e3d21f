package daemon_test

import (
	"crypto/rand"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/moby/buildkit/client"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/lab"
)

// TestPredictImports: what a registry keeps of a build's cache is read, in each form
// that builds export it in, and no registry is asked for a repository that is not
// allowed.
func TestPredictImports(t *testing.T) {
	own := lab.Own(t)
	r := start(t, t.TempDir(), map[string]string{"BUILDKIT_HOST": own.Address()})
	r.connected()
	dir, nonce := lab.Dir(t), strings.ToLower(rand.Text())
	write(t, filepath.Join(dir, "Dockerfile"), "FROM node:20\nCOPY src /src\nRUN echo "+nonce+"\n")
	write(t, filepath.Join(dir, "src"), nonce)
	from := func(refs ...string) {
		write(t, filepath.Join(dir, "compose.yaml"), "services:\n  app:\n    build:\n      context: .\n      cache_from: [\""+strings.Join(refs, "\", \"")+"\"]\n")
	}
	var asked, answer atomic.Int64
	answer.Store(http.StatusNotFound)
	empty := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.WriteHeader(int(answer.Load()))
	}))
	defer empty.Close()
	from(strings.TrimPrefix(empty.URL, "http://") + "/nothing:1")
	if _, err := r.Up(t.Context(), api.UpRequest{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	if got := outlook(r.foretold(api.Query{Dir: dir})); strings.Count(got, "unknown: import: ") != 2 || !strings.Contains(got, "until you run: stoker allow") || asked.Load() > 0 {
		t.Errorf("before it is allowed, after %d requests:\n%s", asked.Load(), got)
	}
	if _, err := r.Allow(t.Context(), api.AllowRequest{Dir: dir, Pulls: true}); err != nil {
		t.Fatal(err)
	}
	if got := outlook(r.foretold(api.Query{Dir: dir})); got != "miss\nmiss" || asked.Load() == 0 {
		t.Errorf("with a cache that is not there, after %d requests:\n%s", asked.Load(), got)
	}
	answer.Store(http.StatusForbidden)
	asked.Store(0)
	for range 2 {
		if got := outlook(r.foretold(api.Query{Dir: dir})); strings.Count(got, "unknown: import: ") != 2 {
			t.Errorf("with a registry that refuses, predicted:\n%s", got)
		}
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("a registry that refuses was asked %d times", n)
	}

	other := walk{t: t, dir: dir, builder: dial(t, own.Address())}
	image := own.Registry() + "/" + nonce
	push := []client.ExportEntry{{Type: client.ExporterImage, Attrs: map[string]string{"name": image + ":inline", "push": "true"}}}
	for _, opt := range []client.SolveOpt{
		{CacheExports: []client.CacheOptionsEntry{{Type: "registry", Attrs: map[string]string{"ref": image + ":manifest", "mode": "max"}}}},
		{CacheExports: []client.CacheOptionsEntry{{Type: "registry", Attrs: map[string]string{"ref": image + ":index", "image-manifest": "false"}}}},
		{CacheExports: []client.CacheOptionsEntry{{Type: "inline"}}, Exports: push},
	} {
		other.solve(opt)
	}
	for _, tag := range []string{":manifest", ":index", ":inline"} {
		r.recorded(dir, &other)
		if err := other.builder.Prune(t.Context(), nil, client.PruneAll); err != nil {
			t.Fatal(err)
		}
		from(image + tag)
		steps := r.foretold(api.Query{Dir: dir})
		if got := outlook(steps); got != "hit\nhit" || !steps[0].Imported || !steps[1].Imported {
			t.Errorf("%s: predicted:\n%s", tag, got)
		}
		ran := other.solve(client.SolveOpt{CacheImports: []client.CacheOptionsEntry{{Type: "registry", Attrs: map[string]string{"ref": image + tag}}}})
		if ran["[2/3]"] || ran["[3/3]"] {
			t.Errorf("%s: the build ran %v", tag, ran)
		}
	}
	r.recorded(dir, &other)
	if err := other.builder.Prune(t.Context(), nil, client.PruneAll); err != nil {
		t.Fatal(err)
	}
	from(image+":manifest", image+":index")
	if got := outlook(r.foretold(api.Query{Dir: dir})); strings.Count(got, "unknown: ") != 2 {
		t.Errorf("with two caches, predicted:\n%s", got)
	}
	from(image+":manifest", "type=s3,region=x,bucket=y")
	if got := outlook(r.foretold(api.Query{Dir: dir})); strings.Count(got, "unknown: ") != 2 {
		t.Errorf("with one that is not read beside it, predicted:\n%s", got)
	}
	write(t, filepath.Join(dir, "src"), nonce+"2")
	from(image + ":manifest")
	if got := outlook(r.foretold(api.Query{Dir: dir})); got != "miss\nmiss" {
		t.Errorf("after an edit, predicted:\n%s", got)
	}
}
