package dockerfile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/exporter/containerimage/exptypes"
)

const (
	// targetPrefix begins the address of a named context that is the result of another
	// target.
	targetPrefix = "target:"
	// targetSource begins the source that stands for such a result. No builder knows this
	// kind of source, but a plan is never solved.
	targetSource = "target://"
)

// link gives the frontend the results of the builds that named contexts refer to. buildx
// builds those first (build.waitContextDeps), so that of each only the configuration of its
// image matters here; its steps and files belong to its own plan.
func (g *gateway) link(ctx context.Context, in Input) error {
	for _, name := range slices.Sorted(maps.Keys(in.NamedContexts)) {
		target, ok := strings.CutPrefix(in.NamedContexts[name], targetPrefix)
		if !ok {
			continue
		}
		linked, ok := in.Linked[target]
		if !ok {
			return &Error{
				File: in.shownFile(), Err: fmt.Errorf("named context %s is the result of target %s, which is not known here", name, target),
				Hint: "name a definition of the bake or compose file that has both",
			}
		}
		linked.Worker = in.Worker
		if err := g.linkOne(ctx, name, target, linked); err != nil {
			return err
		}
	}
	return nil
}

// linkOne converts the build of target and gives its result to the frontend as the named
// context name.
func (g *gateway) linkOne(ctx context.Context, name, target string, in Input) error {
	text, err := in.text()
	if err != nil {
		return err
	}
	inner, err := newGateway(in, text, g.resolver)
	if err != nil {
		return err
	}
	if err := inner.link(ctx, in); err != nil {
		return err
	}
	results, err := convert(ctx, inner)
	if err != nil {
		return in.explain(err)
	}
	maps.Copy(g.unknown, inner.unknown)
	maps.Copy(g.partial, inner.partial)
	g.inputs[name] = llb.NewState(llb.NewSource(targetSource+target, nil, llb.Constraints{}).Output())
	for platform, r := range results {
		key := name
		if platform != "" {
			key += "::" + platform
			g.inputs[key] = g.inputs[name]
		}
		if r.image == nil {
			return errors.New("a converted build has no image configuration")
		}
		r.image.Config.OnBuild = inner.guard.originals(r.image.Config.OnBuild)
		g.onBuild[targetPrefix+target] = slices.Clone(r.image.Config.OnBuild)
		config, err := json.Marshal(r.image)
		if err != nil {
			return fmt.Errorf("encode the image configuration of target %s: %w", target, err)
		}
		if config, err = g.guard.config(config); err != nil {
			return err
		}
		metadata, err := json.Marshal(map[string][]byte{exptypes.ExporterImageConfigKey: config})
		if err != nil {
			return fmt.Errorf("encode the image configuration of target %s: %w", target, err)
		}
		g.opts.Opts["context:"+key] = "input:" + key
		g.opts.Opts["input-metadata:"+key] = string(metadata)
	}
	return nil
}
