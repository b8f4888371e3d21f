package daemon_test

import (
	"crypto/rand"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/moby/buildkit/client"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/lab"
)

// TestPredictBrought: a result that a build has brought from a cache in a registry is reused
// by builds that do not import the cache, under the keys for which it was brought, from the
// time when its layers are fetched until it is pruned.
func TestPredictBrought(t *testing.T) {
	for _, form := range []string{"a cache of its own", "an image that carries it"} {
		t.Run(form, func(t *testing.T) { testBrought(t, form == "an image that carries it") })
	}
}

// testBrought is TestPredictBrought with a cache that is in an image if inline is true.
func testBrought(t *testing.T, inline bool) {
	own := lab.Own(t)
	r := startOn(t, own.Address())
	dir, nonce := lab.Dir(t), strings.ToLower(rand.Text())
	lines := []string{"FROM node:20", "COPY src /src", "RUN echo 1 " + nonce + " > /one", "WORKDIR /" + nonce, "RUN echo 2 " + nonce + " > /two"}
	dockerfile := func(more ...string) {
		t.Helper()
		write(t, filepath.Join(dir, "Dockerfile"), strings.Join(append(slices.Clone(lines), more...), "\n")+"\n")
	}
	dockerfile()
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
	kept := []client.CacheOptionsEntry{{Type: "registry", Attrs: map[string]string{"ref": ref, "mode": "max"}}}
	if inline {
		other.solve(client.SolveOpt{
			CacheExports: []client.CacheOptionsEntry{{Type: "inline"}},
			Exports:      []client.ExportEntry{{Type: client.ExporterImage, Attrs: map[string]string{"name": ref, "push": "true"}}},
		})
	} else {
		other.solve(client.SolveOpt{CacheExports: kept})
	}
	prune := func() {
		t.Helper()
		r.recorded(dir, &other) // by then the build has released its results
		if err := other.builder.Prune(t.Context(), nil, client.PruneAll); err != nil {
			t.Fatal(err)
		}
	}
	// build has the other client build, and checks the outcomes of the steps.
	build := func(when, want string, opt client.SolveOpt) {
		t.Helper()
		ran := other.solve(opt)
		var got []string
		for i := range strings.Fields(want) {
			word := "hit"
			if ran["["+string(rune('2'+i))+"/"+string(rune('1'+len(strings.Fields(want))))+"]"] {
				word = "miss"
			}
			got = append(got, word)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: built %s, want %s", when, got, want)
		}
		r.recorded(dir, &other)
	}
	// plain checks the predicted outcomes and those of a build without imports.
	plain := func(when, want string) {
		t.Helper()
		r.predicts(dir, when, want)
		build(when, want, client.SolveOpt{})
	}
	importing := client.SolveOpt{CacheImports: kept}

	prune()
	r.predicts(dir, "before the import", "miss miss miss miss")
	build("importing", "hit hit hit hit", importing)
	if inline { // the builder's list does not say which layers are not fetched
		r.predicts(dir, "with nothing fetched", "unknown unknown unknown unknown")
	} else {
		plain("with nothing fetched", "miss miss miss miss")
	}
	prune()
	dockerfile("RUN echo 3 " + nonce)
	other.solve(importing) // its outcomes are not checked: a step whose layers are fetched looks as if it ran
	r.recorded(dir, &other)
	plain("with all fetched", "hit hit hit hit hit")
	dockerfile("RUN echo 4 " + nonce)
	plain("with another last step", "hit hit hit hit miss")
	lines = lines[:3]
	dockerfile("RUN echo 5 " + nonce)
	plain("with another step instead of the last ones", "hit hit miss")
	prune()
	plain("after the prune", "miss miss miss")
}
