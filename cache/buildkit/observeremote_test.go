package buildkit_test

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/buildkit/client"
	"github.com/tonistiigi/fsutil"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/cache/buildkit"
	"github.com/stokerd/stoker/internal/lab"
)

// A build says how long it wrote caches, read them, and fetched the layers of imported steps.
func TestObserveRemoteUse(t *testing.T) {
	own := lab.Own(t)
	b, err := buildkit.Connect(t.Context(), emptyEnv(t), own.Address())
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	c, err := client.New(t.Context(), own.Address())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	unique := strings.ToLower(rand.Text())
	registry := func(ref string) []client.CacheOptionsEntry {
		return []client.CacheOptionsEntry{{Type: "registry", Attrs: map[string]string{"ref": ref, "mode": "max"}}}
	}
	kept, nowhere := registry(own.Registry()+"/"+unique+":cache"), registry(own.Registry()+"/"+unique+":nothing")
	refused := registry("127.0.0.1:1/" + unique)
	image := client.ExportEntry{Type: client.ExporterImage, Attrs: map[string]string{"name": own.Registry() + "/" + unique + ":image", "push": "true"}}
	const exports, imports, fetches, read = "exports ", "imports ", "fetches ", "read "
	for _, test := range []struct {
		name, last string // the second one is in the last step
		opt        client.SolveOpt
		status     cache.Status
		outcomes   string
		want       string
	}{
		{"exporting", "1", client.SolveOpt{CacheExports: kept}, cache.Completed, "executed cascaded cascaded", exports},
		{"without caches", "1", client.SolveOpt{}, cache.Completed, "hit hit hit", ""},
		{"importing what was pruned", "2", client.SolveOpt{CacheImports: kept}, cache.Completed, "hit imported executed", imports + fetches + read},
		{"importing what is there", "2", client.SolveOpt{CacheImports: kept}, cache.Completed, "hit hit hit", imports + read},
		{"importing nothing", "3", client.SolveOpt{CacheImports: nowhere}, cache.Completed, "hit hit executed", imports},
		{"refused", "3", client.SolveOpt{CacheExports: refused}, cache.Broken, "hit hit hit", exports},
		{
			"within an image", "3", client.SolveOpt{CacheExports: []client.CacheOptionsEntry{{Type: "inline"}}, Exports: []client.ExportEntry{image}},
			cache.Completed, "hit hit hit", exports,
		},
		{"an image without", "3", client.SolveOpt{Exports: []client.ExportEntry{image}}, cache.Completed, "hit hit hit", ""},
	} {
		if test.want == imports+fetches+read {
			if err := c.Prune(t.Context(), nil, client.PruneAll); err != nil {
				t.Fatal(err)
			}
		}
		dir := lab.Dir(t)
		text := "FROM node:20\nRUN echo " + unique + " > /one\nCOPY src /src\nRUN echo " + test.last + unique + "\n"
		for name, data := range map[string]string{"Dockerfile": text, "src": unique} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		fs, err := fsutil.NewFS(dir)
		if err != nil {
			t.Fatal(err)
		}
		opt := test.opt
		opt.Ref, opt.Frontend, opt.FrontendAttrs = "test"+rand.Text(), "dockerfile.v0", map[string]string{"filename": "Dockerfile"}
		opt.SharedKey, opt.LocalMounts = dir, map[string]fsutil.FS{"context": fs, "dockerfile": fs}
		_, _ = c.Solve(t.Context(), nil, opt, nil) // how it ended is in the record
		r := observe(t, b, opt.Ref).Record
		var got strings.Builder
		for _, is := range []struct {
			word string
			so   bool
		}{{exports, r.Remote.Export > 0}, {imports, r.Remote.Import > 0}, {fetches, r.Remote.Fetch > 0}, {read, r.Remote.Read}} {
			if is.so {
				got.WriteString(is.word)
			}
		}
		if r.Status != test.status || got.String() != test.want {
			t.Errorf("%s: %s with %+v, want %s with %q", test.name, r.Status, r.Remote, test.status, test.want)
		}
		if sum := r.Remote.Export + r.Remote.Import + r.Remote.Fetch; sum > r.Seconds() {
			t.Errorf("%s: %+v in a build of %v s", test.name, r.Remote, r.Seconds())
		}
		var outcomes []string
		for _, s := range r.Steps {
			outcomes = append(outcomes, string(s.Outcome))
		}
		if o := strings.Join(outcomes, " "); o != test.outcomes {
			t.Errorf("%s: the steps are %s, want %s", test.name, o, test.outcomes)
		}
	}
}
