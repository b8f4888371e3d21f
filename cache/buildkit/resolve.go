package buildkit

import (
	"context"
	"fmt"
	"strings"

	"github.com/containerd/platforms"
	"github.com/distribution/reference"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/solver/pb"
	"github.com/moby/buildkit/util/apicaps"

	"github.com/stokerd/stoker/context/dockerfile"
)

// ResolveConfig asks the builder what the image ref is for platform ("" for
// the builder's own): the digest that ref stands for now, and the image's
// configuration as JSON. No layer is pulled.
func (b *Builder) ResolveConfig(ctx context.Context, ref, platform string) (digest string, config []byte, err error) {
	opt := &sourceresolver.ResolveImageOpt{ResolveMode: pb.AttrImageResolveModeDefault}
	if platform != "" {
		p, err := platforms.Parse(platform)
		if err != nil {
			return "", nil, fmt.Errorf("resolve %s: platform %q: %w", ref, platform, err)
		}
		opt.Platform = &p
	}
	// The gateway takes a name as it stands: no default registry or tag is added.
	named, err := reference.ParseDockerRef(ref)
	if err != nil {
		return "", nil, fmt.Errorf("resolve %s: %w", ref, err)
	}
	err = b.gateway(ctx, func(ctx context.Context, c gateway.Client) error {
		_, dgst, dt, err := c.ResolveImageConfig(ctx, named.String(), sourceresolver.Opt{ImageOpt: opt})
		digest, config = dgst.String(), dt
		return err
	})
	if err != nil {
		return "", nil, fmt.Errorf("resolve %s: %w", ref, err)
	}
	return digest, config, nil
}

// Worker returns what of the builder decides over how a Dockerfile is converted: the
// platform that it builds for, and the LLB capabilities that it has. Beside an error
// comes a worker that has them all.
func (b *Builder) Worker(ctx context.Context) (dockerfile.Worker, error) {
	platform := b.platform()
	var caps []string
	err := b.gateway(ctx, func(_ context.Context, c gateway.Client) error {
		for _, known := range pb.Caps.All() {
			if have := c.BuildOpts().LLBCaps; have.Supports(apicaps.CapID(known.ID)) == nil {
				caps = append(caps, known.ID)
			}
		}
		return nil
	})
	if err != nil {
		return dockerfile.NewWorker(platform, nil), fmt.Errorf("ask the builder for its capabilities: %w", err)
	}
	return dockerfile.NewWorker(platform, caps), nil
}

// gateway calls fn as a frontend of a build that nobody sees.
func (b *Builder) gateway(ctx context.Context, fn func(context.Context, gateway.Client) error) error {
	opt := client.SolveOpt{Internal: true, Session: b.session()}
	_, err := b.client.Build(ctx, opt, "stoker", func(ctx context.Context, c gateway.Client) (*gateway.Result, error) {
		return gateway.NewResult(), fn(ctx, c)
	}, nil)
	return err
}

// importVertex begins the name of what a build shows while it reads a cache elsewhere
// (BuildKit: llbsolver.llbBridge.loadResult).
const importVertex = "importing cache manifest from "

// CanImport reports whether a build on the builder can read the cache that a registry
// keeps as ref. The builder may ask another registry of that name than this machine
// would, or in another way. It makes one empty folder there.
func (b *Builder) CanImport(ctx context.Context, ref string) (bool, error) {
	def, err := llb.Scratch().File(llb.Mkdir("/.stoker", 0o755)).Marshal(ctx)
	if err != nil {
		return false, fmt.Errorf("ask the builder for the cache %s: %w", ref, err)
	}
	opt := client.SolveOpt{
		Internal: true, Session: b.session(),
		CacheImports: []client.CacheOptionsEntry{{Type: "registry", Attrs: map[string]string{"ref": ref}}},
	}
	can := false
	_, _, err = b.run(ctx, func(_ *replay, s *client.SolveStatus) {
		for _, v := range s.Vertexes {
			if strings.HasPrefix(v.Name, importVertex) && v.Completed != nil {
				can = v.Error == ""
			}
		}
	}, b.solving(ctx, def, opt))
	if err != nil {
		return false, fmt.Errorf("ask the builder for the cache %s: %w", ref, err)
	}
	return can, nil
}
