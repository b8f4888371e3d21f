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

// An importsTest has the definition of a repository import caches, and checks what is predicted.
type importsTest struct {
	*running
	dir, nonce string
}

// newImportsTest returns a test with a repository of two steps, on a daemon that uses own.
func newImportsTest(t *testing.T, own *lab.Lab) *importsTest {
	i := &importsTest{running: startOn(t, own.Address()), dir: lab.Dir(t), nonce: strings.ToLower(rand.Text())}
	write(t, filepath.Join(i.dir, "Dockerfile"), "FROM node:20\nCOPY src /src\nRUN echo "+i.nonce+"\n")
	write(t, filepath.Join(i.dir, "src"), i.nonce)
	return i
}

// from has the definition import these caches.
func (i *importsTest) from(refs ...string) {
	i.t.Helper()
	write(i.t, filepath.Join(i.dir, "compose.yaml"), "services:\n  app:\n    build:\n      context: .\n      cache_from: [\""+strings.Join(refs, "\", \"")+"\"]\n")
}

// outlook returns what is predicted of the next build.
func (i *importsTest) outlook() string {
	i.t.Helper()
	return outlook(i.foretold(api.Query{Dir: i.dir}))
}

// allow gives consent to look into registries.
func (i *importsTest) allow() {
	i.t.Helper()
	if _, err := i.Allow(i.t.Context(), api.AllowRequest{Dir: i.dir, Pulls: true}); err != nil {
		i.t.Fatal(err)
	}
}

// TestPredictImportsOfARegistryThatRefuses: without the user's consent no registry is asked
// for a cache. One that refuses to answer makes outcomes unknown, and is not asked again at
// once; one that has no such cache does not matter.
func TestPredictImportsOfARegistryThatRefuses(t *testing.T) {
	i := newImportsTest(t, lab.Own(t))
	var requests, answer atomic.Int64
	answer.Store(http.StatusNotFound)
	registry := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		w.WriteHeader(int(answer.Load()))
	}))
	defer registry.Close()
	i.from(strings.TrimPrefix(registry.URL, "http://") + "/nothing:1")
	if _, err := i.Up(t.Context(), api.UpRequest{Dir: i.dir}); err != nil {
		t.Fatal(err)
	}
	if got := i.outlook(); strings.Count(got, "unknown: import: ") != 2 || !strings.Contains(got, "until you run: stoker allow") || requests.Load() > 0 {
		t.Errorf("without consent, after %d requests, predicted:\n%s", requests.Load(), got)
	}
	i.allow()
	if got := i.outlook(); got != "miss\nmiss" || requests.Load() == 0 {
		t.Errorf("with a cache that does not exist, after %d requests, predicted:\n%s", requests.Load(), got)
	}
	answer.Store(http.StatusForbidden)
	requests.Store(0)
	for range 2 {
		if got := i.outlook(); strings.Count(got, "unknown: import: ") != 2 {
			t.Errorf("with a registry that refuses, predicted:\n%s", got)
		}
	}
	if n := requests.Load(); n != 1 {
		t.Errorf("a registry that refuses was asked %d times, want once", n)
	}
}

// TestPredictImports: caches in a registry are read in each form in which builds export them,
// and their results are predicted to hit. With several caches outcomes are unknown.
func TestPredictImports(t *testing.T) {
	own := lab.Own(t)
	i := newImportsTest(t, own)
	image := own.Registry() + "/" + i.nonce
	i.from(image + ":manifest")
	if _, err := i.Up(t.Context(), api.UpRequest{Dir: i.dir}); err != nil {
		t.Fatal(err)
	}
	i.allow()
	other := walk{t: t, dir: i.dir, builder: dial(t, own.Address())}
	push := []client.ExportEntry{{Type: client.ExporterImage, Attrs: map[string]string{"name": image + ":inline", "push": "true"}}}
	for _, opt := range []client.SolveOpt{
		{CacheExports: []client.CacheOptionsEntry{{Type: "registry", Attrs: map[string]string{"ref": image + ":manifest", "mode": "max"}}}},
		{CacheExports: []client.CacheOptionsEntry{{Type: "registry", Attrs: map[string]string{"ref": image + ":index", "image-manifest": "false"}}}},
		{CacheExports: []client.CacheOptionsEntry{{Type: "inline"}}, Exports: push},
	} {
		other.solve(opt)
	}
	prune := func() {
		t.Helper()
		i.recorded(i.dir, &other)
		if err := other.builder.Prune(t.Context(), nil, client.PruneAll); err != nil {
			t.Fatal(err)
		}
	}
	for _, tag := range []string{":manifest", ":index", ":inline"} {
		prune()
		i.from(image + tag)
		steps := i.foretold(api.Query{Dir: i.dir})
		if got := outlook(steps); got != "hit\nhit" || !steps[0].Imported || !steps[1].Imported {
			t.Errorf("%s: predicted:\n%s", tag, got)
		}
		ran := other.solve(client.SolveOpt{CacheImports: []client.CacheOptionsEntry{{Type: "registry", Attrs: map[string]string{"ref": image + tag}}}})
		if ran["[2/3]"] || ran["[3/3]"] {
			t.Errorf("%s: the build ran %v, want no step but the base image", tag, ran)
		}
	}
	prune()
	i.from(image+":manifest", image+":index")
	if got := i.outlook(); strings.Count(got, "unknown: ") != 2 {
		t.Errorf("with two caches, predicted:\n%s", got)
	}
	i.from(image+":manifest", "type=s3,region=x,bucket=y")
	if got := i.outlook(); strings.Count(got, "unknown: ") != 2 {
		t.Errorf("with another cache, of a kind that is not read, predicted:\n%s", got)
	}
	write(t, filepath.Join(i.dir, "src"), i.nonce+"2")
	i.from(image + ":manifest")
	if got := i.outlook(); got != "miss\nmiss" {
		t.Errorf("after an edit, predicted:\n%s", got)
	}
}
