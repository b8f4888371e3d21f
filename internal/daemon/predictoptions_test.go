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

// TestPredictOptions: what a definition says beside its Dockerfile decides over what the
// next build of it executes, and is told as buildx tells it.
func TestPredictOptions(t *testing.T) {
	own := lab.Own(t)
	r := start(t, t.TempDir(), map[string]string{"BUILDKIT_HOST": own.Address()})
	r.connected()
	dir, nonce := lab.Dir(t), strings.ToLower(rand.Text())
	write(t, filepath.Join(dir, "Dockerfile"), "FROM node:20 AS deps\nCOPY src /src\nRUN echo "+nonce+"\nFROM deps\nRUN echo 2 "+nonce+"\n")
	write(t, filepath.Join(dir, "src"), nonce)
	other := walk{t: t, dir: dir, builder: dial(t, own.Address())}
	options := ""
	declare := func(lines string) {
		t.Helper()
		options = lines
		write(t, filepath.Join(dir, "compose.yaml"), "services:\n  app:\n    build:\n      context: .\n      "+strings.ReplaceAll(lines, "\n", "\n      ")+"\n")
	}
	predicted := func(want string) { t.Helper(); r.predicts(dir, options, want) }
	built := func(opt client.SolveOpt, want string) {
		t.Helper()
		ran := other.solve(opt)
		r.wait(dir, "the build", func(repo api.Repository) bool {
			return len(repo.Definitions) == 1 && repo.Definitions[0].Last != nil && repo.Definitions[0].Last.Ref == other.last
		})
		var got []string
		for _, step := range []string{"[deps 2/3]", "[deps 3/3]", "[stage-1 1/1]"} {
			word := "hit"
			if ran[step] {
				word = "miss"
			}
			got = append(got, word)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: built: %v, want %s", options, ran, want)
		}
	}

	declare("network: host\nextra_hosts: [\"db=10.0.0.5\", \"app=10.0.0.4\"]\nshm_size: 64mb\nulimits: {nofile: {soft: 900, hard: 1000}, core: 0}")
	asked := client.SolveOpt{
		FrontendAttrs: map[string]string{
			"force-network-mode": "host", "add-hosts": "app=10.0.0.4,db=10.0.0.5", "shm-size": "67108864", "ulimit": "core=0:0,nofile=900:1000",
		},
		AllowedEntitlements: []string{"network.host"},
	}
	if _, err := r.Up(t.Context(), api.UpRequest{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	predicted("miss miss miss")
	if err := r.Warm(t.Context(), api.WarmRequest{Query: api.Query{Dir: dir}, Level: "all"}, func(api.WarmEvent) {}); err != nil {
		t.Fatal(err)
	}
	predicted("hit hit hit")
	built(asked, "hit hit hit")

	declare("network: none")
	predicted("hit miss miss")
	built(client.SolveOpt{FrontendAttrs: map[string]string{"force-network-mode": "none"}}, "hit miss miss")
	predicted("hit hit hit")

	if _, err := r.Allow(t.Context(), api.AllowRequest{Dir: dir, Pulls: true}); err != nil {
		t.Fatal(err)
	}
	declare("no_cache: true")
	predicted("miss miss miss")
	r.wait(dir, "no warm-up that nothing would reuse", func(repo api.Repository) bool {
		return repo.Definitions[0].Warm.Reason == "it is built without the cache: only base images are pulled"
	})
	built(client.SolveOpt{FrontendAttrs: map[string]string{"no-cache": ""}}, "miss miss miss")
	predicted("miss miss miss")
	declare("extra_hosts: [\"host.docker.internal:host-gateway\"]")
	predicted("unknown unknown unknown")
	r.wait(dir, "no warm-up with another address", func(repo api.Repository) bool {
		return strings.HasPrefix(repo.Definitions[0].Warm.Reason, "its host-gateway has an address")
	})
	declare("no_cache_filter: [deps]")
	predicted("miss miss unknown") // what is made anew may have a key of its own
	built(client.SolveOpt{FrontendAttrs: map[string]string{"no-cache": "deps"}}, "miss miss miss")

	declare("cache_from: [" + own.Registry() + "/cache:1]")
	predicted("hit hit hit")
	cache := []client.CacheOptionsEntry{{Type: "registry", Attrs: map[string]string{"ref": own.Registry() + "/cache:1", "mode": "max"}}}
	built(client.SolveOpt{CacheExports: cache}, "hit hit hit")
	if err := other.builder.Prune(t.Context(), nil, client.PruneAll); err != nil {
		t.Fatal(err)
	}
	predicted("hit hit hit")
	built(client.SolveOpt{CacheImports: cache}, "hit hit hit")
	// What was imported is the builder's own only where it was fetched.
	declare("target: \"\"")
	predicted("miss miss miss")
	built(client.SolveOpt{}, "miss miss miss")
}
