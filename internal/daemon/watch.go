package daemon

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"github.com/stokerd/stoker/internal/ledger"
	"github.com/stokerd/stoker/internal/project"
	"github.com/stokerd/stoker/watcher"
)

// watchRoots watches the folders that picture is made of, and no others. If picture is nil
// it watches the top of the repository's own folder, so that a fix of whatever is wrong is
// seen. It returns the folders that were not watched before, as keys: these have to be
// scanned again, since they may have changed meanwhile (see project.Opener.Update).
func (r *repository) watchRoots(picture *project.Picture) (added map[string][]string) {
	prunes := map[string]func(string) bool{r.root: func(dir string) bool { return dir != "." }}
	if picture != nil {
		clear(prunes)
		for _, root := range picture.Roots() {
			prunes[root] = picture.Prune(root)
		}
	}
	for root, w := range r.watchers {
		if _, ok := prunes[root]; !ok {
			r.unwatch(root, w)
		}
	}
	added = map[string][]string{}
	for root, prune := range prunes {
		if w := r.watchers[root]; w != nil {
			if err := w.SetPrune(prune); err != nil {
				r.log.Error("change what is watched", "error", err)
			}
			continue
		}
		if err := r.watchRoot(root, prune); err != nil {
			r.log.Error("watch", "dir", root, "error", err)
			continue
		}
		added[root] = nil
	}
	r.show()
	return added
}

// show hands the watchers to addWatch, which must not read r.watchers.
func (r *repository) show() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.shown = slices.Collect(maps.Values(r.watchers))
}

// stir returns what the watchers told of since a moment. Where one has to look itself, because
// the system gives no events, what comes and goes between two looks is not told.
func (r *repository) stir(since time.Time) *ledger.Stir {
	s := r.trail.since(since)
	r.mu.Lock()
	defer r.mu.Unlock()
	s.Lost = s.Lost || slices.ContainsFunc(r.shown, func(w *watcher.Watcher) bool { return w.Status().Polled > 0 })
	return s
}

// watchRoot watches one folder, but nothing below the folders for which prune returns true.
func (r *repository) watchRoot(root string, prune func(string) bool) error {
	sum := sha256.Sum256([]byte(r.root + "\x00" + root))
	w, err := watcher.New(root, watcher.Options{
		Debounce: debounce, Prune: prune, Log: r.log,
		CookieDir: filepath.Join(r.daemon.options.Paths.Runtime, "watch", hex.EncodeToString(sum[:8])),
	})
	if err != nil {
		return err
	}
	r.watchers[root] = w
	return nil
}

// unwatch stops watching root. It returns when the watcher's goroutines have ended.
func (r *repository) unwatch(root string, w *watcher.Watcher) {
	delete(r.watchers, root)
	if err := w.Close(); err != nil {
		r.log.Warn("stop watching", "dir", root, "error", err)
	}
}

// unwatchAll stops watching, as run does when it ends.
func (r *repository) unwatchAll() {
	for root, w := range r.watchers {
		r.unwatch(root, w)
	}
}
