package report

import (
	"github.com/stokerd/stoker/cache/buildkit"
	"github.com/stokerd/stoker/internal/api"
)

// Caches returns caches elsewhere as the builder is told of them.
func Caches(list []api.Cache) []buildkit.Cache {
	var caches []buildkit.Cache
	for _, c := range list {
		caches = append(caches, buildkit.Cache{Type: c.Type, Attrs: c.Attrs})
	}
	return caches
}

// UselessCaches is the error of a warm-up that can do nothing with the caches elsewhere
// that were named (prewarm.CheckCaches).
func UselessCaches(why error) error {
	return &api.Error{Code: api.BadInput, Message: why.Error(), Hint: "name one build, and the level: stoker warm NAME --level all"}
}
