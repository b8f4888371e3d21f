package buildkit_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/cache/buildkit"
)

func TestUnname(t *testing.T) {
	seen := buildkit.Observed{Record: cache.Record{Steps: []cache.Step{
		{Name: "[2/4] ONBUILD RUN make", Line: 1},
		{Name: "[3/4] RUN echo sesame", Line: 2},
		{Name: "[4/4] COPY", Line: 3},
	}}}
	before := seen
	seen.Unname()
	seen.Describe(func(s cache.Step) (string, int, bool) { return "RUN echo ${SECRET}", 2, s.Name == "[3/4] RUN" })
	want := []cache.Step{
		{Name: "[2/4] ONBUILD RUN make", Line: 1},
		{Name: "[3/4] RUN echo ${SECRET}", Line: 2},
		{Name: "[4/4] COPY"},
	}
	if diff := cmp.Diff(want, seen.Record.Steps); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	if before.Record.Steps[1].Name != "[3/4] RUN echo sesame" {
		t.Error("the steps of a copy were changed")
	}
}
