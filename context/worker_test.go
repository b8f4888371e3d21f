package buildctx_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/context/dockerfile"
)

// knownWorker is a resolver that knows the worker, and no image.
type knownWorker dockerfile.Worker

func (knownWorker) Resolve(context.Context, string, string) (dockerfile.Image, error) {
	return dockerfile.Image{}, dockerfile.ErrUnknownImage
}

func (k knownWorker) Worker() dockerfile.Worker { return dockerfile.Worker(k) }

// TestWorker checks that a definition is converted for the worker at hand: for its
// platform, and, if it cannot merge layers, with COPY --link as a plain COPY.
func TestWorker(t *testing.T) {
	dir := t.TempDir()
	check(t, os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte("FROM a\nARG TARGETARCH\nRUN echo $TARGETARCH\nCOPY --link f /\n"), 0o644))
	check(t, os.WriteFile(filepath.Join(dir, "f"), nil, 0o644))
	def := buildctx.Definition{Context: dir, Dockerfile: filepath.Join(dir, "Dockerfile")}
	at := func(w dockerfile.Worker) *buildctx.Selection {
		s, err := buildctx.Compute(t.Context(), def, knownWorker(w), func(dir string) (*buildctx.Tree, string, error) {
			tree, err := buildctx.Scan(t.Context(), dir, nil)
			return tree, ".", err
		})
		check(t, err)
		return s
	}
	ops := func(s *buildctx.Selection) (list []string) {
		for _, op := range s.Plan.Ops {
			list = append(list, op.Digest)
		}
		return list
	}
	here, far := dockerfile.Worker{Platform: "linux/amd64"}, dockerfile.Worker{Platform: "linux/s390x"}
	plain := dockerfile.Worker{Platform: "linux/amd64", Caps: []string{"source.image", "source.local", "file.base", "exec.meta.base"}}
	a, b, c := at(here), at(far), at(plain)
	if slices.Equal(ops(a), ops(b)) || len(a.Plan.Ops) != len(b.Plan.Ops) {
		t.Errorf("%s has the operations %q, %s %q; want as many, and others", here.Platform, ops(a), far.Platform, ops(b))
	}
	if len(c.Plan.Ops) >= len(a.Plan.Ops) {
		t.Errorf("%d operations without merging, %d with it; want fewer without", len(c.Plan.Ops), len(a.Plan.Ops))
	}
	for _, tt := range []struct {
		worker dockerfile.Worker
		want   bool
	}{{here, true}, {far, false}, {plain, false}} {
		if got := a.Current(t.Context(), knownWorker(tt.worker)); got != tt.want {
			t.Errorf("Current with %+v = %v, want %v", tt.worker, got, tt.want)
		}
	}
}
