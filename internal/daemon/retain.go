package daemon

import (
	"context"
	"maps"
	"time"

	"github.com/stokerd/stoker/cache/store"
)

// How much of past builds is kept: records for a year and more, and what explains
// them for as long as it stays small beside the caches that it is about.
const (
	keepFor      = 400 * 24 * time.Hour
	keepRecords  = 128 << 20
	keepEvidence = 256 << 20
)

// keepUnwatched is for how long a repository is remembered that is not watched, and
// a base image that is not used.
const keepUnwatched = 60 * 24 * time.Hour

// retain drops what is too old or too much, at once and then every day.
func (d *Daemon) retain(ctx context.Context) error {
	ticker := time.NewTicker(24 * time.Hour)
	defer ticker.Stop()
	retention := store.Retention{Age: keepFor, Bytes: keepRecords, Evidence: keepEvidence}
	for {
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
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// forgetUnwatched forgets the repositories that have not been watched for long.
func (d *Daemon) forgetUnwatched() (int, error) {
	d.amending.Lock()
	defer d.amending.Unlock()
	return d.store.Forget(time.Now(), keepUnwatched)
}

// forgetImages forgets the base images that were not used for long. The store is told
// of one when it changes; so first it is told of all that this daemon has looked up.
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
