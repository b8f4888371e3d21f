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

// An optionsTest declares options of a build in a compose file, and checks what is predicted
// and built with them.
type optionsTest struct {
	*running
	own     *lab.Lab
	dir     string
	other   *walk  // another client
	options string // those that are declared now
}

// TestPredictOptions: a prediction takes account of the options that a definition has beside
// its Dockerfile, and of how buildx passes them to the builder.
func TestPredictOptions(t *testing.T) {
	own := lab.Own(t)
	dir, nonce := lab.Dir(t), strings.ToLower(rand.Text())
	o := &optionsTest{
		running: startOn(t, own.Address()), own: own, dir: dir,
		other: &walk{t: t, dir: dir, builder: dial(t, own.Address())},
	}
	write(t, filepath.Join(dir, "Dockerfile"), "FROM node:20 AS deps\nCOPY src /src\nRUN echo "+nonce+"\nFROM deps\nRUN echo 2 "+nonce+"\n")
	write(t, filepath.Join(dir, "src"), nonce)
	o.runsWithOptions()
	o.ignoresCache()
	o.importsCache()
}

// declare declares these options, one a line, for the build of the only service.
func (o *optionsTest) declare(lines string) {
	o.t.Helper()
	o.options = lines
	write(o.t, filepath.Join(o.dir, "compose.yaml"), "services:\n  app:\n    build:\n      context: .\n      "+strings.ReplaceAll(lines, "\n", "\n      ")+"\n")
}

// predicted checks the outcomes that are predicted of the three steps.
func (o *optionsTest) predicted(want string) {
	o.t.Helper()
	o.predicts(o.dir, o.options, want)
}

// built has the other client build with opt, and checks the outcomes of the three steps.
func (o *optionsTest) built(opt client.SolveOpt, want string) {
	o.t.Helper()
	ran := o.other.solve(opt)
	o.recorded(o.dir, o.other)
	var got []string
	for _, step := range []string{"[deps 2/3]", "[deps 3/3]", "[stage-1 1/1]"} {
		word := "hit"
		if ran[step] {
			word = "miss"
		}
		got = append(got, word)
	}
	if strings.Join(got, " ") != want {
		o.t.Errorf("%s: built: %v, want %s", o.options, ran, want)
	}
}

// runsWithOptions declares options that RUN steps run with.
func (o *optionsTest) runsWithOptions() {
	o.declare("network: host\nextra_hosts: [\"db=10.0.0.5\", \"app=10.0.0.4\"]\nshm_size: 64mb\nulimits: {nofile: {soft: 900, hard: 1000}, core: 0}")
	asBuildx := client.SolveOpt{
		FrontendAttrs: map[string]string{
			"force-network-mode": "host", "add-hosts": "app=10.0.0.4,db=10.0.0.5", "shm-size": "67108864", "ulimit": "core=0:0,nofile=900:1000",
		},
		AllowedEntitlements: []string{"network.host"},
	}
	if _, err := o.Up(o.t.Context(), api.UpRequest{Dir: o.dir}); err != nil {
		o.t.Fatal(err)
	}
	o.predicted("miss miss miss")
	if err := o.Warm(o.t.Context(), api.WarmRequest{Query: api.Query{Dir: o.dir}, Level: "all"}, func(api.WarmEvent) {}); err != nil {
		o.t.Fatal(err)
	}
	o.predicted("hit hit hit")
	o.built(asBuildx, "hit hit hit")

	o.declare("network: none")
	o.predicted("hit miss miss")
	o.built(client.SolveOpt{FrontendAttrs: map[string]string{"force-network-mode": "none"}}, "hit miss miss")
	o.predicted("hit hit hit")
}

// ignoresCache declares options for which results are not reused, or have keys that are not
// known.
func (o *optionsTest) ignoresCache() {
	if _, err := o.Allow(o.t.Context(), api.AllowRequest{Dir: o.dir, Pulls: true}); err != nil {
		o.t.Fatal(err)
	}
	o.declare("no_cache: true")
	o.predicted("miss miss miss")
	o.wait(o.dir, "no warm-up that nothing would reuse", func(repo api.Repository) bool {
		return repo.Definitions[0].Warm.Reason == "it is built without the cache: only base images are pulled"
	})
	o.built(client.SolveOpt{FrontendAttrs: map[string]string{"no-cache": ""}}, "miss miss miss")
	o.predicted("miss miss miss")

	o.declare("extra_hosts: [\"host.docker.internal:host-gateway\"]")
	o.predicted("unknown unknown unknown")
	o.wait(o.dir, "no warm-up with another address", func(repo api.Repository) bool {
		return strings.HasPrefix(repo.Definitions[0].Warm.Reason, "its host-gateway has an address")
	})

	o.declare("no_cache_filter: [deps]")
	o.predicted("miss miss unknown") // the new result of the second step may have another key
	o.built(client.SolveOpt{FrontendAttrs: map[string]string{"no-cache": "deps"}}, "miss miss miss")
}

// importsCache declares a cache in a registry, from which a build takes what the builder does
// not have.
func (o *optionsTest) importsCache() {
	ref := o.own.Registry() + "/cache:1"
	o.declare("cache_from: [" + ref + "]")
	o.predicted("hit hit hit")
	cache := []client.CacheOptionsEntry{{Type: "registry", Attrs: map[string]string{"ref": ref, "mode": "max"}}}
	o.built(client.SolveOpt{CacheExports: cache}, "hit hit hit")
	if err := o.other.builder.Prune(o.t.Context(), nil, client.PruneAll); err != nil {
		o.t.Fatal(err)
	}
	o.predicted("hit hit hit")
	o.built(client.SolveOpt{CacheImports: cache}, "hit hit hit")

	// The builder keeps of an import only the results that something has fetched.
	o.declare("target: \"\"")
	o.predicted("miss miss miss")
	o.built(client.SolveOpt{}, "miss miss miss")
}
