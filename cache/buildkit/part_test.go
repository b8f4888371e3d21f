package buildkit_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/cache/buildkit"
	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/lab"
)

// TestPartsAreThePlans holds what a builder recorded of a build's operations
// against their conversion in process: the digests that key them are the same.
// A second build after an edit tells what became of each.
func TestPartsAreThePlans(t *testing.T) {
	b, c, dir := connect(t), otherClient(t), lab.Dir(t)
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("a", rand.Text())
	write("b", "same")
	write("Dockerfile", `FROM scratch AS tools
COPY b /b
FROM node:20 AS build
ARG V=1
WORKDIR /w
COPY a .
RUN --mount=type=bind,source=b,target=/b --mount=type=cache,target=/c echo $V `+rand.Text()+` > out
FROM node:20
COPY --link --from=tools /b /b
COPY --from=build /w/out /out
`)
	attrs := map[string]string{"build-arg:V": canary}
	first, err := build(t.Context(), t, c, dir, attrs, nil)
	if err != nil {
		t.Fatal(err)
	}
	seen := observe(t, b, first)
	if len(seen.Parts) != 1 {
		t.Fatalf("%d parts", len(seen.Parts))
	}
	noCanary(t, seen)

	plan, err := dockerfile.Convert(t.Context(), dockerfile.Input{
		Dockerfile: filepath.Join(dir, "Dockerfile"), Context: dir, Args: map[string]string{"V": canary},
	}, images{b})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(digests(plan), digests(seen.Parts[0].Plan)); diff != "" {
		t.Errorf("digests of operations (-converted +recorded):\n%s", diff)
	}

	write("a", rand.Text())
	second, err := build(t.Context(), t, c, dir, attrs, nil)
	if err != nil {
		t.Fatal(err)
	}
	seen = observe(t, b, second)
	fates := map[string]cache.Fate{}
	for i, op := range seen.Parts[0].Plan.Ops {
		for _, s := range op.Steps {
			fates[seen.Record.Steps[s].Name] = max(fates[seen.Record.Steps[s].Name], seen.Parts[0].Fates[i])
		}
	}
	for name, fate := range fates {
		want := map[bool]cache.Fate{true: cache.Made, false: cache.Loaded}
		for _, s := range seen.Record.Steps {
			if s.Name == name && fate != want[s.Outcome.Ran()] && fate != cache.Untouched {
				t.Errorf("%s is told as %v, its outcome as %s", name, fate, s.Outcome)
			}
		}
	}
	if len(fates) != len(seen.Record.Steps) {
		t.Errorf("%d of %d steps have an operation", len(fates), len(seen.Record.Steps))
	}
}

// digests are those of the operations, local files aside, which have none.
func digests(p *dockerfile.Plan) map[string]int {
	all := map[string]int{}
	for _, op := range p.Ops {
		if op.Digest != "" {
			all[fmt.Sprint(op.Digest, op.Output)]++
		}
	}
	return all
}

// images resolves images as the builder does.
type images struct{ builder *buildkit.Builder }

func (i images) Resolve(ctx context.Context, ref, platform string) (dockerfile.Image, error) {
	digest, config, err := i.builder.ResolveConfig(ctx, ref, platform)
	return dockerfile.Image{Digest: digest, Config: config}, err
}
