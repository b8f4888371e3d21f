package daemon_test

import (
	"context"
	"fmt"
	"slices"

	"github.com/moby/buildkit/client"
)

// bring makes a build that imports a cache which the walk has exported, perhaps after all
// results were pruned. It returns what it did.
func (w *walk) bring() string {
	w.t.Helper()
	if len(w.kept) == 0 {
		return ""
	}
	what := ""
	w.causes.brought = true
	if w.IntN(3) > 0 {
		w.causes.pruned = true
		if err := w.builder.Prune(context.WithoutCancel(w.t.Context()), nil, client.PruneAll); err != nil {
			w.t.Fatal(err)
		}
		what = ", and all results removed"
	}
	if w.IntN(2) == 0 { // so that the daemon sees what is gone before the build begins
		w.predict()
	}
	ref := w.kept[w.IntN(len(w.kept))]
	w.solve(client.SolveOpt{CacheImports: []client.CacheOptionsEntry{{Type: "registry", Attrs: map[string]string{"ref": ref}}}})
	w.seen("the build")
	return what + ", and a build that imported " + ref
}

// export makes a build that exports a cache, in a random form.
func (w *walk) export() {
	w.t.Helper()
	ref, opt := fmt.Sprint(w.registry, "/", w.nonce, ":", w.IntN(2)), client.SolveOpt{}
	switch w.IntN(3) {
	case 0:
		opt.CacheExports = []client.CacheOptionsEntry{{Type: "inline"}}
		opt.Exports = []client.ExportEntry{{Type: client.ExporterImage, Attrs: map[string]string{"name": ref, "push": "true"}}}
	case 1:
		opt.CacheExports = []client.CacheOptionsEntry{{Type: "registry", Attrs: map[string]string{"ref": ref, "mode": "min"}}}
	case 2:
		opt.CacheExports = []client.CacheOptionsEntry{{Type: "registry", Attrs: map[string]string{"ref": ref, "mode": "max"}}}
	}
	w.solve(opt)
	w.seen("the build")
	if !slices.Contains(w.kept, ref) {
		w.kept = append(w.kept, ref)
	}
}
