package report

import (
	"github.com/stokerd/stoker/cache/buildkit"
	"github.com/stokerd/stoker/internal/api"
)

// Caches returns caches outside of the builder in the form that it takes.
func Caches(list []api.Cache) []buildkit.Cache {
	var caches []buildkit.Cache
	for _, c := range list {
		caches = append(caches, buildkit.Cache{Type: c.Type, Attrs: c.Attrs})
	}
	return caches
}

// UselessCaches returns the error of a warm-up that cannot use the caches that were given for
// it. why is that of prewarm.CheckCaches.
func UselessCaches(why error) error {
	return &api.Error{Code: api.BadInput, Message: why.Error(), Hint: "name one build, and the level: stoker warm NAME --level all"}
}
