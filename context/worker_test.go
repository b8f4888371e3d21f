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

// knownWorker is a resolver that knows no image, and what builds.
type knownWorker dockerfile.Worker

func (knownWorker) Resolve(context.Context, string, string) (dockerfile.Image, error) {
	return dockerfile.Image{}, dockerfile.ErrUnknownImage
}

func (k knownWorker) Worker() dockerfile.Worker { return dockerfile.Worker(k) }

// TestWorker: a definition converts as the builder would that is there, one for
// another platform, or one that cannot merge, to which COPY --link is a plain COPY.
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
		t.Errorf("for one platform %q comes of it, for another %q", ops(a), ops(b))
	}
	if len(c.Plan.Ops) >= len(a.Plan.Ops) {
		t.Errorf("with merging %d operations, without %d", len(a.Plan.Ops), len(c.Plan.Ops))
	}
	if !a.Current(t.Context(), knownWorker(here)) || a.Current(t.Context(), knownWorker(far)) || a.Current(t.Context(), knownWorker(plain)) {
		t.Error("it is current with another builder than it was computed for, or not with that one")
	}
}
