package daemon

import (
	"bytes"
	"context"
	"slices"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/cache/buildkit"
	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/project"
)

// presume works out what a build was made of that did not succeed, and of which the
// builder therefore keeps nothing. Where that is not sure, it says why.
func (r *repository) presume(ctx context.Context, ev buildkit.Event, seen buildkit.Observed, pictures []*project.Picture, def buildctx.Definition) (buildkit.Part, cache.Gap) {
	var text []byte
	for i, p := range pictures {
		b, ok := p.Find(def.Name)
		if !ok || b.Selection == nil {
			return buildkit.Part{}, cache.Unmatched
		}
		plan := b.Selection.Plan
		if i > 0 && !bytes.Equal(text, plan.Text) {
			return buildkit.Part{}, cache.Moving
		}
		text = plan.Text
	}
	switch {
	case len(pictures) == 0:
		return buildkit.Part{}, cache.Unwatched
	case def.Shown != "", def.Remote(), seen.Join.RemoteContext, len(ev.NamedContexts())+len(def.NamedContexts) > 0:
		return buildkit.Part{}, cache.Unmatched
	}
	def.Args, def.Target, def.Platforms = ev.Args(), seen.Join.Target, seen.Join.Platforms
	if part, ok := r.retrace(ctx, seen, def, text); ok {
		return part, ""
	}
	return buildkit.Part{}, cache.Unmatched
}

// retrace converts def with another text, and tells what became of the operations if
// they are those of the build.
func (r *repository) retrace(ctx context.Context, seen buildkit.Observed, def buildctx.Definition, text []byte) (buildkit.Part, bool) {
	r.daemon.images.settle(ctx, r, settleTime)
	in := def.Input()
	in.Text = text
	plan, err := dockerfile.Convert(ctx, in, r.opener.Resolver)
	if err != nil {
		return buildkit.Part{}, false // what failed may not even have been read
	}
	return seen.Presume(plan)
}

// resembles reports whether a build that did not succeed goes by the names of the
// steps of one of the definitions of r, as they were when it began.
func (r *repository) resembles(ctx context.Context, seen buildkit.Observed, began moment, b *project.Build) bool {
	if seen.Record.Status == cache.Completed || seen.Join.LocalContext != "" {
		return false
	}
	if p := began[r]; p != nil {
		then, ok := p.Find(b.Definition.Name)
		if !ok {
			return false
		}
		b = then
	}
	if b.Selection == nil || !slices.Equal(b.Definition.ArgNames(), seen.Join.ArgNames) {
		return false
	}
	_, ok := r.retrace(ctx, seen, b.Definition, b.Selection.Plan.Text)
	return ok
}
