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

// TestPredictBrought: what a build brought from a cache in a registry is there for builds
// that do not look into it, from when its layers are fetched to when it goes, and under
// the keys that it was brought for.
func TestPredictBrought(t *testing.T) {
	for _, form := range []string{"a cache of its own", "an image that carries it"} {
		t.Run(form, func(t *testing.T) { testBrought(t, form == "an image that carries it") })
	}
}

func testBrought(t *testing.T, inline bool) {
	own := lab.Own(t)
	r := start(t, t.TempDir(), map[string]string{"BUILDKIT_HOST": own.Address()})
	r.connected()
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
		r.recorded(dir, &other) // it has let go of what it used
		if err := other.builder.Prune(t.Context(), nil, client.PruneAll); err != nil {
			t.Fatal(err)
		}
	}
	// build has another client build what is predicted.
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
	plain := func(when, want string) {
		t.Helper()
		r.predicts(dir, when, want)
		build(when, want, client.SolveOpt{})
	}
	importing := client.SolveOpt{CacheImports: kept}

	prune()
	r.predicts(dir, "before", "miss miss miss miss")
	build("brought, and nothing fetched", "hit hit hit hit", importing)
	if inline { // what of it is still to be fetched the list does not say
		r.predicts(dir, "of what was not fetched", "unknown unknown unknown unknown")
	} else {
		plain("of what was not fetched", "miss miss miss miss")
	}
	prune()
	dockerfile("RUN echo 3 " + nonce)
	other.solve(importing) // a step whose layers it fetches looks like one that runs
	r.recorded(dir, &other)
	plain("of what was fetched", "hit hit hit hit hit")
	dockerfile("RUN echo 4 " + nonce)
	plain("with another step on it", "hit hit hit hit miss")
	lines = lines[:3]
	dockerfile("RUN echo 5 " + nonce)
	plain("with another step in it", "hit hit miss")
	prune()
	plain("once it is gone", "miss miss miss")
}
