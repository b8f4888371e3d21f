package daemon

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"time"

	"github.com/stokerd/stoker/cache/buildkit"
	"github.com/stokerd/stoker/context/content"
	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/ledger"
	"github.com/stokerd/stoker/internal/project"
)

// enterOwn enters a build that stoker itself made, to warm or to verify, in the builder's
// account. The builder's history does not have these builds. It does so also if ctx has
// ended, since an interrupted build leaves results, too. before is a picture of r from before
// the build began, and since when that was.
func (d *Daemon) enterOwn(ctx context.Context, node *buildkit.Builder, r *repository, request buildkit.Request, solved buildkit.Solved, before *project.Picture, since time.Time) {
	if ctx.Err() != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), settleTime)
		defer cancel()
	}
	s, err := r.fresh(ctx)
	if err != nil || s.picture == nil {
		return
	}
	after, stir := s.picture, r.stir(since)
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
		return // another frontend converted it, as the builder could
	}
	files := r.contents.With(edits)
	site := ledger.Site{Snapshots: d.account(node).copies, Keys: []string{node.SharedKey(def.Context)}}
	part, ok := solved.Part(plan)
	files.Received(ctx, plan, def.Name, site, ok && !solved.Broken, before, after)
	if !ok {
		return
	}
	entry := entryOf(node, part, files.Stirred(ctx, plan, def.Name, stir, before, after).Built(plan, site))
	entry.Broken, entry.Imports = solved.Broken, len(request.CacheFrom) > 0
	entry.Elsewhere = d.brought(ctx, node, r, buildkit.Imports(request.CacheFrom))
	d.learn(ctx, node, entry)
	d.keepMade(node, r, def.Name, part, stepNames(plan.Steps))
	d.list(ctx, node)
}

// errWider says that a build has an ignore file that may let in files which the picture of
// its repository does not have.
var errWider = errors.New("more may be sent than a picture shows")

// narrows reports whether an ignore file with this text surely lets in nothing that one with
// the text was does not: it only adds lines, and none that re-includes.
func narrows(was, text []byte) bool {
	more, added := bytes.CutPrefix(text, was)
	return added && !bytes.Contains(more, []byte("!"))
}

// editsOf returns, by path, the files of which a build of stoker's is sent another text than
// the disk has. The error is errWider, or that of reading a file.
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
