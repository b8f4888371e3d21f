package cache_test

import (
	"testing"
	"time"

	"github.com/stokerd/stoker/cache"
	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/context/content"
	"github.com/stokerd/stoker/context/dockerfile"
)

// contents computes digests over what the client would send of the directories
// of the local contexts.
func contents(t testing.TB, plan *dockerfile.Plan, dirs map[string]string) cache.ContentFunc {
	t.Helper()
	manifests := make([]*content.Manifest, len(plan.Requests))
	for i, r := range plan.Requests {
		manifests[i] = sent(t, dirs[r.Local], r)
	}
	return func(request int, selected []dockerfile.Selector) (string, error) {
		digest, err := manifests[request].Content(selected)
		return digest.String(), err
	}
}

// sent returns the manifest of what a request brings.
func sent(t testing.TB, dir string, r dockerfile.Request) *content.Manifest {
	t.Helper()
	tree, err := buildctx.Scan(t.Context(), dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	top, err := tree.Sent(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	m, _, err := content.Compute(t.Context(), top, nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return m
}
