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
	targetPrefix = "target:"
	// targetSource is what a linked build's result is to this one: a source
	// that no builder knows, since a plan is not solved.
	targetSource = "target://"
)

// link gives the frontend the results of linked builds, as buildx does, which
// builds them first: their image's configuration counts, and their steps and
// files are their own (buildx: build.waitContextDeps).
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
