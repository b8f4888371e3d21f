package daemon

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"

	"github.com/stokerd/stoker/cache/buildkit"
	"github.com/stokerd/stoker/context/content"
	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/ledger"
	"github.com/stokerd/stoker/internal/project"
)

// enterOwn enters what a build of ours did, of which the builder keeps no record, also
// where it was interrupted. before is what the repository held when it began.
func (d *Daemon) enterOwn(ctx context.Context, node *buildkit.Builder, r *repository, request buildkit.Request, solved buildkit.Solved, before *project.Picture) {
	if ctx.Err() != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), settleTime)
		defer cancel()
	}
	s, err := r.fresh(ctx)
	if err != nil || s.picture == nil {
		return
	}
	after := s.picture
	edits, err := editsOf(request)
	if err != nil {
		return
	}
	if len(edits) > 0 {
		before, after = r.opener.With(ctx, before, request.Edits), r.opener.With(ctx, after, request.Edits)
	}
	def := request.Definition
	in := def.Input()
	in.Text, in.Read, in.Worker = request.Dockerfile, after.Text, dockerfile.WorkerOf(r.opener.Resolver)
	in.NoCache, in.NoCacheStages = request.NoCache, request.NoCacheStages
	plan, err := dockerfile.Convert(ctx, in, r.opener.Resolver)
	if err != nil {
		return // the builder found that it converts; another frontend may have
	}
	files := r.contents.With(edits)
	site := ledger.Site{Snapshots: d.account(node).copies, Keys: []string{node.SharedKey(def.Context)}}
	part, ok := solved.Part(plan)
	files.Received(ctx, plan, def.Name, site, ok && !solved.Broken, before, after)
	if !ok {
		return
	}
	entry := entryOf(node, part, files.Content(ctx, plan, def.Name, site, before, after))
	entry.Broken, entry.Imports = solved.Broken, len(request.CacheFrom) > 0
	entry.Elsewhere = d.brought(ctx, node, r, buildkit.Imports(request.CacheFrom))
	d.learn(ctx, node, entry)
	d.keepMade(node, r, def.Name, part, stepNames(plan.Steps))
	d.list(ctx, node)
}

// errWider is an ignore file that may let in what nobody looked into.
var errWider = errors.New("more may be sent than a picture shows")

// narrows reports whether an ignore file goes on as another one, and lets nothing more in.
func narrows(was, text []byte) bool {
	more, goesOn := bytes.CutPrefix(text, was)
	return goesOn && !bytes.Contains(more, []byte("!"))
}

// editsOf returns the files that a build of ours is sent with other texts.
func editsOf(request buildkit.Request) (map[string]content.Edit, error) {
	edits := map[string]content.Edit{}
	for name, text := range request.Edits {
		was, err := os.ReadFile(name)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		if strings.HasSuffix(name, ".dockerignore") && !narrows(was, text) {
			return nil, errWider
		}
		edits[name] = content.Edit{Was: was, Text: text, Modified: buildkit.TextTime(text).UnixNano()}
	}
	return edits, nil
}
