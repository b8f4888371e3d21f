package buildctx_test

import (
	"context"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/context/dockerfile"
)

// oneImage knows alpine, and nothing else.
type oneImage struct{}

func (oneImage) Resolve(_ context.Context, ref, _ string) (dockerfile.Image, error) {
	if ref != "docker.io/library/alpine:3.22" {
		return dockerfile.Image{}, dockerfile.ErrUnknownImage
	}
	return dockerfile.Image{Config: []byte(`{"os": "linux", "architecture": "amd64", "config": {"WorkingDir": "/srv"}}`)}, nil
}

// aBuilder knows no image, but what builds.
type aBuilder struct{ oneImage }

func (aBuilder) Worker() dockerfile.Worker { return dockerfile.Worker{Platform: "linux/arm64"} }

// TestUnaided holds that a plan counts as what Convert makes of its text only if it is that.
func TestUnaided(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "a"), []byte("a\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	tree, err := buildctx.Scan(t.Context(), root, nil)
	if err != nil {
		t.Fatal(err)
	}
	views := func(string) (*buildctx.Tree, string, error) { return tree, ".", nil }
	const debian = "FROM debian:12\nARG MODE=live\nRUN echo $MODE $HOME\nWORKDIR in\nCOPY a .\nADD $MODE /x\n"
	const alpine = "FROM alpine:3.22\nCOPY a .\n"
	linked := map[string]buildctx.Definition{"base": {Name: "base", Context: root, Inline: alpine}}
	for name, c := range map[string]struct {
		text     string
		resolver dockerfile.Resolver
		linked   map[string]buildctx.Definition
		want     bool
	}{
		"no resolver":       {debian, nil, nil, true},
		"unknown to it":     {debian, oneImage{}, nil, true},
		"known to it":       {alpine, oneImage{}, nil, false},
		"of a builder":      {debian, aBuilder{}, nil, false},
		"of another's text": {"FROM base\nCOPY a .\n", nil, linked, false},
	} {
		def := buildctx.Definition{
			Name: "x", Context: root, Inline: c.text, Linked: c.linked, Args: map[string]string{"MODE": "test"}, Platforms: []string{"linux/amd64", "linux/arm64"},
		}
		s, err := buildctx.Compute(t.Context(), def, c.resolver, views)
		if err != nil {
			t.Fatal(err)
		}
		if s.Unaided() != c.want {
			t.Errorf("%s: %v, want %v", name, !c.want, c.want)
		}
		again, err := def.Convert(t.Context(), s.Plan.Text)
		if err != nil {
			t.Fatal(err)
		}
		for _, plan := range []*dockerfile.Plan{again, s.Plan} {
			for i := range plan.Steps {
				plan.Steps[i].Digest = "" // those of files are others in each conversion
			}
		}
		if s.Unaided() && !reflect.DeepEqual(again, s.Plan) {
			t.Errorf("%s: the plan is not what Convert makes:\n%+v\nwant %+v", name, s.Plan.Steps, again.Steps)
		}
	}
}
