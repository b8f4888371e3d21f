package daemon

import (
	"context"
	"time"

	buildctx "github.com/stokerd/stoker/context"
)

// sumsPause is how long sums of files wait to be stored. Builds, and predictions after each
// save of an editor, make new ones again and again.
const sumsPause = 2 * time.Second

// recallSums gives a tree that was just scanned the stored sums of its files, so that files
// which did not change need not be read again.
func (r *repository) recallSums(root string, tree *buildctx.Tree) {
	r.putSums()
	if err := r.daemon.store.Sums(r.root, root, tree.LoadSums); err != nil {
		r.log.Warn("what was known of files is lost, and they are read again", "error", err)
	}
}

// keepSums stores sums a while after files were read, and when ctx ends. Then it returns.
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

// putSums stores the sums that the trees of the picture have. Errors are logged.
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
