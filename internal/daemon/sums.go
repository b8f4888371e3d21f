package daemon

import (
	"context"
	"time"

	buildctx "github.com/stokerd/stoker/context"
)

// sumsPause is how long what was found out of files waits to be stored: a build, or a
// prediction after each save of an editor, reads again and again.
const sumsPause = 2 * time.Second

// recallSums gives a tree that was just scanned what an earlier daemon found out of
// its files, or this one in another tree, so that those which did not change need not
// be read.
func (r *repository) recallSums(root string, tree *buildctx.Tree) {
	r.putSums()
	if err := r.daemon.store.Sums(r.root, root, tree.LoadSums); err != nil {
		r.log.Warn("what was known of files is lost, and they are read again", "error", err)
	}
}

// keepSums stores what was found out of files, a while after it was and when ctx
// ends.
func (r *repository) keepSums(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			r.putSums()
			return
		case <-r.sums:
		}
		timer := time.NewTimer(sumsPause)
		select {
		case <-ctx.Done():
		case <-timer.C:
			r.putSums()
		}
		timer.Stop()
	}
}

func (r *repository) putSums() {
	s := r.state.Load()
	if s == nil || s.picture == nil {
		return
	}
	for root, tree := range s.picture.Trees() {
		if err := r.daemon.store.PutSums(r.root, root, tree.Sums()); err != nil {
			r.log.Warn("store what is known of files", "error", err)
		}
	}
}
