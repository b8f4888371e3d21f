package daemon

import (
	"context"
	"path"
	"time"

	"github.com/stokerd/stoker/internal/advise"
	"github.com/stokerd/stoker/internal/changes"
	"github.com/stokerd/stoker/internal/project"
)

// changes returns the last n changes of a repository: its commits or, without git, the saves
// that the daemon saw.
func (r *repository) changes(ctx context.Context, p *project.Picture, n int) (advise.History, error) {
	h, err := r.history.Read(ctx, p, n)
	if err != nil || h.Commits.Len() > 0 || p.Head.Commit != "" {
		return h, err
	}
	saves, err := r.daemon.store.Saves(r.root)
	if err != nil {
		return h, err
	}
	return h.Observed(saves, n), nil
}

// noteSave stores which of the files that builds send differ between the pictures old and
// next, if the repository has no git: commits need no second account. next may be nil.
func (r *repository) noteSave(old, next *project.Picture) {
	if next == nil || old == next || next.Head.Commit != "" || old.Head.Commit != "" {
		return
	}
	if err := r.daemon.store.PutSave(r.root, changes.Save{At: time.Now(), Paths: savedFiles(old, next)}); err != nil {
		r.log.Warn("note a save", "error", err)
	}
}

// savedFiles returns the files that builds send and that differ between two pictures, by
// their paths in the repository. A file that is gone counts.
func savedFiles(old, next *project.Picture) []string {
	var paths []string
	seen := map[string]bool{}
	for _, b := range next.Builds {
		before, ok := old.Find(b.Definition.Name)
		if !ok || before.Selection == nil || b.Selection == nil || before == b {
			continue
		}
		now, then := b.Selection.Main, before.Selection.Main
		dir := next.Relative(now.Root)
		list, ok := now.Since(then)
		if !ok || now.Root != then.Root {
			continue // the two cannot be compared
		}
		for _, name := range list {
			f, is := now.Lookup(name)
			if !is {
				f, is = then.Lookup(name)
			}
			if p := path.Join(dir, name); is && f.Sent && !f.Mode.IsDir() && !seen[p] {
				seen[p] = true
				paths = append(paths, p)
			}
		}
	}
	return paths
}
