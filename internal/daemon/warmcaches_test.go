package daemon_test

import (
	"crypto/rand"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/buildkit/client"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/lab"
)

// TestWarmCaches: steps whose results a warm-up exports to a remote cache are not run by one
// that imports it. It fetches them, so that builds reuse them without importing the cache.
func TestWarmCaches(t *testing.T) {
	own := lab.Own(t)
	var book logbook
	_, change := onLab(t, "prewarm: {level: off}\n", &book)
	r := start(t, t.TempDir(), map[string]string{"BUILDKIT_HOST": own.Address()}, change)
	r.connected()
	dir, nonce := lab.Dir(t), strings.ToLower(rand.Text())
	write(t, filepath.Join(dir, "Dockerfile"), "FROM node:20 AS made\nCOPY src /src\nRUN head -c 8 /dev/urandom > /made\nFROM node:20\nCOPY --from=made /made /\nRUN cat /made /made > /twice\n")
	write(t, filepath.Join(dir, "src"), nonce)
	if _, err := r.Up(t.Context(), api.UpRequest{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	other := walk{t: t, dir: dir, builder: dial(t, own.Address())}
	warm := func(from, to []api.Cache, level string) (last api.WarmEvent, err error) {
		req := api.WarmRequest{Query: api.Query{Dir: dir}, Level: level, CacheFrom: from, CacheTo: to}
		err = r.Warm(t.Context(), req, func(e api.WarmEvent) { last = e })
		return last, err
	}
	prune := func() {
		if err := other.builder.Prune(t.Context(), nil, client.PruneAll); err != nil {
			t.Fatal(err)
		}
	}
	nowhere := api.Cache{Type: "registry", Attrs: map[string]string{"ref": own.Registry() + "/nothing:" + canary}}
	for kind, cached := range map[string]struct{ to, from map[string]string }{
		"registry": {
			to:   map[string]string{"ref": own.Registry() + "/" + nonce + ":cache", "mode": "max"},
			from: map[string]string{"ref": own.Registry() + "/" + nonce + ":cache"},
		},
		"local": {to: map[string]string{"dest": filepath.Join(dir, "..", nonce), "mode": "max"}, from: map[string]string{"src": filepath.Join(dir, "..", nonce)}},
	} {
		prune()
		if _, err := warm(nil, []api.Cache{{Type: kind, Attrs: cached.to}}, "all"); err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		prune()
		last, err := warm([]api.Cache{{Type: kind, Attrs: cached.from}, nowhere}, nil, "all")
		if err != nil || last.State != "ready" || last.Unread != 1 {
			t.Errorf("%s: the warm-up from the cache ended with %v and %+v, want ready, with one cache unread", kind, err, last)
		}
		if got := outlook(r.foretold(api.Query{Dir: dir})); strings.Contains(got, "miss") {
			t.Errorf("%s: after a warm-up from the cache, predicted:\n%s", kind, got)
		} else {
			t.Logf("%s: %s", kind, got)
		}
		ran := other.solve(client.SolveOpt{})
		delete(ran, "[made 1/3]") // the base image, which is resolved but not needed
		for step, executed := range ran {
			if executed {
				t.Errorf("%s: after a warm-up from the cache, the build ran %s", kind, step)
			}
		}
		r.recorded(dir, &other)
	}
	for want, to := range map[string]api.Cache{
		"could not write the cache (--cache-to), connection refused": {Type: "registry", Attrs: map[string]string{"ref": "localhost:1/nothing"}},
		"build failed, unknown cache exporter":                       {Type: "nothing"},
	} {
		last, err := warm([]api.Cache{nowhere}, []api.Cache{to}, "all")
		if err == nil || last.State != "failed" || last.Message != want {
			t.Errorf("a warm-up to a cache that cannot be written ended with %v and %+v, want %s", err, last, want)
		}
	}
	for name, tt := range map[string]struct {
		from, to []api.Cache
		level    string
	}{
		"an import though no step runs": {from: []api.Cache{nowhere}, level: "base"},
		"an export of some steps only":  {to: []api.Cache{nowhere}, level: "deps"},
	} {
		_, err := warm(tt.from, tt.to, tt.level)
		if failure := (*api.Error)(nil); !errors.As(err, &failure) || failure.Code != api.BadInput || failure.Hint == "" {
			t.Errorf("%s: the error is %v, want one about the request, with a hint", name, err)
		}
	}
	r.noCanary(&book, nil)
}
