package daemon

import (
	"context"
	"maps"
	"time"

	"github.com/stokerd/stoker/cache/store"
)

// How much of past builds the store keeps: records for over a year, and within bounds that
// are small beside the caches that the builds fill. Evidence is what explains builds.
const (
	keepFor      = 400 * 24 * time.Hour
	keepRecords  = 128 << 20 // bytes
	keepEvidence = 256 << 20 // bytes
)

// keepUnwatched is how long the store keeps a repository that is not watched any more, and a
// base image that is not used any more.
const keepUnwatched = 60 * 24 * time.Hour

// retain drops from the store what is too old or too much, at once and then every day. It
// returns nil when ctx ends.
func (d *Daemon) retain(ctx context.Context) error {
	ticker := time.NewTicker(24 * time.Hour)
	defer ticker.Stop()
	retention := store.Retention{Age: keepFor, Bytes: keepRecords, Evidence: keepEvidence}
	for {
		d.dropOld(retention)
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// dropOld drops from the store builds beyond retention, and repositories and images beyond
// keepUnwatched. Errors are logged: the next day is another chance.
func (d *Daemon) dropOld(retention store.Retention) {
	removed, err := d.store.Prune(time.Now(), retention)
	if err != nil {
		d.log.Error("drop old builds from the store", "error", err)
	}
	if removed > 0 {
		d.log.Info("old builds were dropped from the store", "builds", removed)
	}
	forgotten, err := d.forgetUnwatched()
	if err != nil {
		d.log.Error("forget repositories that are not watched", "error", err)
	}
	if forgotten > 0 {
		d.log.Info("repositories that were not watched are forgotten", "repositories", forgotten)
	}
	forgotten, err = d.forgetImages()
	if err != nil {
		d.log.Error("forget base images that are not used", "error", err)
	}
	if forgotten > 0 {
		d.log.Info("base images that were not used are forgotten", "images", forgotten)
	}
}

// forgetUnwatched drops the repositories that have not been watched for keepUnwatched, and
// returns how many.
func (d *Daemon) forgetUnwatched() (int, error) {
	d.amending.Lock()
	defer d.amending.Unlock()
	return d.store.Forget(time.Now(), keepUnwatched)
}

// forgetImages drops the base images that have not been used for keepUnwatched, and returns
// how many. The store is told of an image only when that changes, so those that this daemon
// knows are stored anew first, as used.
func (d *Daemon) forgetImages() (int, error) {
	d.images.mu.Lock()
	known := maps.Clone(d.images.known)
	d.images.mu.Unlock()
	for key, a := range known {
		if a.Config != nil {
			d.keepImage(key, a.Image)
		}
	}
	return d.store.ForgetImages(time.Now(), keepUnwatched)
}
