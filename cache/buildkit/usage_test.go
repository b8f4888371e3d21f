package buildkit_test

import (
	"crypto/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stokerd/stoker/cache/buildkit"
	"github.com/stokerd/stoker/context/dockerfile"
)

// TestDiskUsage builds steps of each kind, finds them in the builder's list, and
// has one of them removed.
func TestDiskUsage(t *testing.T) {
	b, c := connect(t), otherClient(t)
	unique, before := strings.ToLower(rand.Text()), time.Now().Add(-time.Second)
	run := "echo " + unique + " > /made"
	dir, _ := project(t, "FROM busybox\nCOPY deps /deps-"+unique+"\nRUN --mount=type=cache,id="+unique+",target=/c "+run+"\nRUN echo last-"+unique+"\n")
	if _, err := build(t.Context(), t, c, dir, nil, nil); err != nil {
		t.Fatal(err)
	}
	exec := dockerfile.RecordOf("mount / from exec /bin/sh -c " + run)
	last := dockerfile.RecordOf("mount / from exec /bin/sh -c echo last-" + unique)
	find := func(kind buildkit.Kind, record string) []buildkit.Usage {
		t.Helper()
		list, err := b.DiskUsage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return slices.DeleteFunc(list, func(u buildkit.Usage) bool { return u.Kind != kind || u.Record != record })
	}
	for _, want := range []struct {
		kind   buildkit.Kind
		record string
	}{
		{buildkit.StepResult, dockerfile.RecordOf("[1/1] COPY deps /deps-" + unique)},
		{buildkit.StepResult, exec},
		{buildkit.CacheMount, exec},
		{buildkit.StepResult, last},
	} {
		got := find(want.kind, want.record)
		if len(got) != 1 || got[0].Created.Before(before) || got[0].LastUsed.Before(got[0].Created) || got[0].ID == "" {
			t.Errorf("%s %s: listed as %+v; want it once, with an ID, made and used in this test", want.kind, want.record, got)
		}
	}
	middle, top := find(buildkit.StepResult, exec)[0], find(buildkit.StepResult, last)[0]
	if !slices.Contains(top.Parents, middle.ID) {
		t.Errorf("%+v does not build on %+v", top, middle)
	}
	var gone []string
	remove := func(ids ...string) {
		t.Helper()
		if err := b.Remove(t.Context(), ids, false, func(id string, _ int64) { gone = append(gone, id) }); err != nil {
			t.Fatal(err)
		}
	}
	if remove(middle.ID); len(gone) != 0 {
		t.Errorf("%v is gone, on which another entry builds", gone)
	}
	if remove(top.ID, "no-such-id\"||id!=\"x"); !slices.Equal(gone, []string{top.ID}) {
		t.Errorf("%v are gone, want %s", gone, top.ID)
	}
	if left := find(buildkit.StepResult, exec); len(left) != 1 {
		t.Error("what was not named is gone too")
	}
	kinds := map[buildkit.Kind]bool{}
	all, err := b.DiskUsage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range all {
		kinds[u.Kind] = true
	}
	if !kinds[buildkit.LocalFiles] || !kinds[buildkit.ImageLayer] {
		t.Errorf("kinds %v, want local files and image layers among them", kinds)
	}
}
