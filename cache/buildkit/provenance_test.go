package buildkit

import (
	"slices"
	"testing"

	controlapi "github.com/moby/buildkit/api/services/control"
)

func TestResultsAreInOrder(t *testing.T) {
	rec := &controlapi.BuildHistoryRecord{Results: map[string]*controlapi.BuildResultInfo{}}
	var want []*controlapi.BuildResultInfo
	for _, platform := range []string{"linux/386", "linux/amd64", "linux/arm/v6", "linux/arm/v7", "linux/arm64", "linux/ppc64le", "linux/riscv64", "linux/s390x"} {
		r := &controlapi.BuildResultInfo{}
		rec.Results[platform] = r
		want = append(want, r)
	}
	if got := results(rec); !slices.Equal(got, want) {
		t.Errorf("results of %d platforms are not in their order", len(got))
	}
	first := &controlapi.BuildResultInfo{}
	rec.Result = first
	if got := results(rec); len(got) != len(want)+1 || got[0] != first {
		t.Errorf("%d results, want the one without a platform before %d", len(got), len(want))
	}
}
