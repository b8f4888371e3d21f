package e2e_test

import (
	"fmt"
	"testing"

	"github.com/stokerd/stoker/internal/api"
)

// TestWarmsByItself: with level all, nobody asks for anything, and every build finds its cache warm.
func TestWarmsByItself(t *testing.T) {
	t.Parallel()
	u := newUser(t, "prewarm: {level: all, quiet: 100ms}\n")
	u.shop()
	u.must("up", "--allow")
	last := u.warmed(api.Repository{})
	if got := u.build("."); len(got) != 5 || got.hits() != 5 {
		t.Errorf("the first build of all: %v; want five hits", got)
	}
	if got := u.build("web"); len(got) != 2 || got.hits() != 2 {
		t.Errorf("the first build of web: %v; want two hits", got)
	}
	u.write("src/tax.js", "module.exports = 0.19;\n")
	u.warmed(last)
	if got := u.build("."); len(got) != 5 || got.hits() != 5 {
		t.Errorf("a build after an edit: %v; want five hits", got)
	}
	// Its own builds do not count: api was built twice, web once.
	u.awaitBuilds("api", 2)
	u.awaitBuilds("web", 1)
}

// warmed waits until every definition is warm, and api has been warmed anew since before.
func (u *user) warmed(before api.Repository) api.Repository {
	u.t.Helper()
	return u.await(func(r api.Repository) string {
		for _, d := range r.Definitions {
			if d.Warm.State != "ready" || d.Warm.Level != "all" {
				return fmt.Sprintf("%s to be warm: %+v", d.Name, d.Warm)
			}
			for _, old := range before.Definitions {
				if d.Name == "api" && old.Name == "api" && !d.Warm.At.After(old.Warm.At) {
					return "api to be warmed anew"
				}
			}
		}
		return ""
	})
}
