package daemon_test

import (
	"crypto/rand"
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

// A bringer is a repository of which a daemon predicts the builds, and whose cache another
// client keeps in a registry, for builds to bring it from there.
type bringer struct {
	walk  // of the other client
	r     *running
	nonce string
	kept  []client.CacheOptionsEntry // the cache in the registry
}

// newBringer returns one with a Dockerfile of these lines, in which NONCE stands for a text
// that is its own, and with a file src of that. Its own builder has nothing, and the cache all
// results: within an image if inline is true.
func newBringer(t *testing.T, inline bool, lines ...string) *bringer {
	t.Helper()
	own := lab.Own(t)
	b := &bringer{r: startOn(t, own.Address()), nonce: strings.ToLower(rand.Text())}
	b.walk = walk{t: t, dir: lab.Dir(t), builder: dial(t, own.Address())}
	b.dockerfile(lines...)
	b.write("src", b.nonce)
	b.write("stoker.yaml", "prewarm: {level: off}\n")
	if _, err := b.r.Up(t.Context(), api.UpRequest{Dir: b.dir}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.r.Allow(t.Context(), api.AllowRequest{Dir: b.dir, Pulls: true}); err != nil {
		t.Fatal(err)
	}
	ref := own.Registry() + "/" + b.nonce + ":cache"
	b.kept = []client.CacheOptionsEntry{{Type: "registry", Attrs: map[string]string{"ref": ref, "mode": "max"}}}
	export := client.SolveOpt{CacheExports: b.kept}
	if inline {
		export = client.SolveOpt{
			CacheExports: []client.CacheOptionsEntry{{Type: "inline"}},
			Exports:      []client.ExportEntry{{Type: client.ExporterImage, Attrs: map[string]string{"name": ref, "push": "true"}}},
		}
	}
	b.solve(export)
	b.prune()
	return b
}

// dockerfile writes the Dockerfile.
func (b *bringer) dockerfile(lines ...string) {
	b.t.Helper()
	b.write("Dockerfile", strings.ReplaceAll(strings.Join(lines, "\n")+"\n", "NONCE", b.nonce))
}

// prune has the builder lose all that it has.
func (b *bringer) prune() {
	b.t.Helper()
	b.recorded() // by then the build has released its results
	if err := b.builder.Prune(b.t.Context(), nil, client.PruneAll); err != nil {
		b.t.Fatal(err)
	}
}

// recorded waits until the daemon has recorded the last build.
func (b *bringer) recorded() {
	b.t.Helper()
	b.r.recorded(b.dir, &b.walk)
}

// predicts checks the outcomes that the daemon predicts.
func (b *bringer) predicts(when, want string) {
	b.t.Helper()
	b.r.predicts(b.dir, when, want)
}

// testBrought is TestPredictBrought with a cache that is in an image if inline is true.
func testBrought(t *testing.T, inline bool) {
	lines := []string{"FROM node:20", "COPY src /src", "RUN echo 1 NONCE > /one", "WORKDIR /NONCE", "RUN echo 2 NONCE > /two"}
	b := newBringer(t, inline, lines...)
	importing := client.SolveOpt{CacheImports: b.kept}
	// build has the other client build, and checks the outcomes of the steps.
	build := func(when, want string, opt client.SolveOpt) {
		t.Helper()
		ran := b.solve(opt)
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
		b.recorded()
	}
	// plain checks the predicted outcomes and those of a build without imports.
	plain := func(when, want string) {
		t.Helper()
		b.predicts(when, want)
		build(when, want, client.SolveOpt{})
	}
	b.predicts("before the import", "miss miss miss miss")
	build("importing", "hit hit hit hit", importing)
	if inline { // the builder's list does not say which layers are not fetched
		b.predicts("with nothing fetched", "unknown unknown unknown unknown")
	} else {
		plain("with nothing fetched", "miss miss miss miss")
	}
	b.prune()
	lines = slices.Clip(lines)
	b.dockerfile(append(lines, "RUN echo 3 NONCE")...)
	b.solve(importing) // its outcomes are not checked: a step whose layers are fetched looks as if it ran
	b.recorded()
	plain("with all fetched", "hit hit hit hit hit")
	b.dockerfile(append(lines, "RUN echo 4 NONCE")...)
	plain("with another last step", "hit hit hit hit miss")
	lines = slices.Clip(lines[:3])
	b.dockerfile(append(lines, "RUN echo 5 NONCE")...)
	plain("with another step instead of the last ones", "hit hit miss")
	b.prune()
	plain("after the prune", "miss miss miss")
}
