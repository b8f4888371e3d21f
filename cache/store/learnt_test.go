package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stokerd/stoker/cache/store"
	buildctx "github.com/stokerd/stoker/context"
)

func TestLearnt(t *testing.T) {
	s := open(t, path(t))
	old := store.Learnt{Repository: "/src/shop", Context: ".", Dockerfile: "Dockerfile", Target: "old", Seen: epoch}
	api := store.Learnt{
		Repository: "/src/shop", Context: "api", Dockerfile: "docker/api.Dockerfile", Target: "run", Platforms: []string{"linux/arm64"},
		Args: map[string]string{"A": s.Digest("1"), "B": s.Digest("2")}, Ref: "r1", Seen: epoch.Add(10 * 24 * time.Hour),
	}
	again := api
	again.Args, again.Ref, again.Seen = map[string]string{"A": s.Digest("3"), "B": s.Digest("2")}, "r2", epoch.Add(11*24*time.Hour)
	other := store.Learnt{Repository: "/src/shop2", Context: ".", Dockerfile: "Dockerfile", Seen: epoch}
	for _, l := range []store.Learnt{old, again, api, again, other} {
		if err := s.PutLearnt(l); err != nil {
			t.Fatal(err)
		}
	}
	for days, want := range map[int][]store.Learnt{12: {again, old}, 14: {again}, 25: {}} {
		got, err := s.Learnt("/src/shop", epoch.Add(time.Duration(days)*24*time.Hour))
		if d := cmp.Diff(want, got); d != "" || err != nil {
			t.Errorf("after %d days, %v (-want +got):\n%s", days, err, d)
		}
	}
	want := buildctx.Definition{
		Origin: buildctx.Observed, Context: "/src/shop/api", Dockerfile: "/src/shop/docker/api.Dockerfile", Target: "run",
		Platforms: []string{"linux/arm64"}, Args: map[string]string{"A": "3"}, UnknownArgs: []string{"B"},
	}
	if d := cmp.Diff(want, again.Definition(map[string]string{"A": "3", "C": "x"})); d != "" {
		t.Errorf("definition (-want +got):\n%s", d)
	}
	for i := range 30 {
		l := store.Learnt{Repository: "/src/many", Target: fmt.Sprint(i), Seen: epoch.Add(time.Duration(i) * time.Minute)}
		if err := s.PutLearnt(l); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := s.Learnt("/src/many", epoch); len(got) != 20 || got[0].Target != "29" || err != nil {
		t.Errorf("of 30 there are %d, the first is %+v, %v", len(got), got[0], err)
	}
	if err := s.PutLearnt(store.Learnt{}); err == nil {
		t.Error("a definition without a repository was stored")
	}
}
