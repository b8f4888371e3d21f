package daemon

import (
	"bytes"
	"context"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/cache/buildkit"
	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/project"
)

// A presumption is what the operations of a build that did not succeed must have been, or
// why that is not known.
type presumption struct {
	parts []buildkit.Part // one, or none if it is not known
	gap   cache.Gap       // why there is none
}

// presume works out the operations of a build of def that did not succeed: unlike those of
// one that succeeded, the builder does not keep them. They follow from the Dockerfile if the
// pictures at both ends of the build have the same text. For a build that succeeded, and
// for a nil r, the presumption is empty.
func (r *repository) presume(ctx context.Context, ev buildkit.Event, seen buildkit.Observed, pictures []*project.Picture, def buildctx.Definition) presumption {
	if r == nil || seen.Record.Status == cache.Completed {
		return presumption{}
	}
	var text []byte
	for i, p := range pictures {
		b, ok := p.Find(def.Name)
		if !ok || b.Selection == nil {
			return presumption{gap: cache.Unmatched}
		}
		plan := b.Selection.Plan
		if i > 0 && !bytes.Equal(text, plan.Text) {
			return presumption{gap: cache.Moving}
		}
		text = plan.Text
	}
	switch {
	case len(pictures) == 0:
		return presumption{gap: cache.Unwatched}
	case def.Shown != "", def.Remote(), seen.Join.RemoteContext, len(ev.NamedContexts())+len(def.NamedContexts) > 0:
		return presumption{gap: cache.Unmatched}
	}
	part, ok := r.retrace(ctx, seen, asBuilt(def, ev, seen), text)
	if !ok {
		return presumption{gap: cache.Unmatched}
	}
	return presumption{parts: []buildkit.Part{part}}
}

// asBuilt returns def as a build had it: with that build's args, target and platforms, and
// without options.
func asBuilt(def buildctx.Definition, ev buildkit.Event, seen buildkit.Observed) buildctx.Definition {
	def.Args, def.Target, def.Platforms = ev.Args(), seen.Join.Target, seen.Join.Platforms
	def.Options, def.NoCache, def.NoCacheStages = dockerfile.Options{}, false, nil // see buildkit.plainly
	return def
}

// retrace converts def with text as its Dockerfile. If the steps that come of it are those
// of the build, it returns the operations and what became of them; else it returns false.
func (r *repository) retrace(ctx context.Context, seen buildkit.Observed, def buildctx.Definition, text []byte) (buildkit.Part, bool) {
	r.daemon.images.settle(ctx, r, settleTime)
	in := def.Input()
	in.Text = text
	plan, err := dockerfile.Convert(ctx, in, r.opener.Resolver)
	if err != nil {
		return buildkit.Part{}, false // perhaps the very error that the build failed with
	}
	return seen.Presume(plan)
}

// resembles reports whether a build that did not succeed has the steps that a build of b
// has, by their names. The Dockerfile is that of the picture in began, if that has one of
// r, else that of b.
func (r *repository) resembles(ctx context.Context, ev buildkit.Event, seen buildkit.Observed, began moment, b *project.Build) bool {
	if seen.Record.Status == cache.Completed || seen.Join.LocalContext != "" && b.Definition.Inline == "" {
		return false
	}
	if p := began[r]; p != nil {
		then, ok := p.Find(b.Definition.Name)
		if !ok {
			return false
		}
		b = then
	}
	if b.Selection == nil {
		return false
	}
	_, ok := r.retrace(ctx, seen, asBuilt(b.Definition, ev, seen), b.Selection.Plan.Text)
	return ok
}
