package daemon

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestBacklogDrains checks when the storing of a backlog is tried again, and until when.
func TestBacklogDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBacklog()
		full := errors.New("full")
		began := time.Now()
		var mu sync.Mutex // guards began, tries and room
		var tries []time.Duration
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		room := false
		go func() {
			ended <- b.drain(ctx, func() {
				mu.Lock()
				defer mu.Unlock()
				tries = append(tries, time.Since(began))
				if !room {
					b.build("a", full) // fails again
					return
				}
				b.build("a", nil)
				b.saved(nil)
			})
		}()
		wait := func(d time.Duration, want ...int) { // in seconds since began
			t.Helper()
			time.Sleep(d)
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			var seconds []int
			for _, d := range tries {
				seconds = append(seconds, int(d.Seconds()))
			}
			if !slices.Equal(seconds, want) {
				t.Fatalf("after %v it was tried at %v, want %v", time.Since(began), seconds, want)
			}
			tries, began = nil, time.Now()
		}
		wait(time.Hour)
		if changed := b.build("a", full); !changed || b.empty() || !b.has("a") || b.since != time.Now() {
			t.Errorf("a build that is not stored: changed = %v, %+v", changed, b)
		}
		wait(4*time.Minute, 1, 3, 7, 15, 31, 63, 123, 183)
		if changed := b.build("a", full); changed {
			t.Error("a build that is still not stored is a change")
		}
		if changed := b.saved(full); !changed || !b.unsaved() {
			t.Error("an account that is not stored is no change")
		}
		mu.Lock()
		room = true
		mu.Unlock()
		wait(time.Hour, 3)
		if !b.empty() || !b.since.IsZero() || b.err != nil {
			t.Errorf("with all stored the backlog is %+v", b)
		}
		if changed := b.build("b", nil); changed {
			t.Error("a build that is stored at once is a change")
		}
		wait(time.Hour)
		b.saved(full)
		wait(time.Minute, 1)
		b.build("c", full)
		cancel()
		synctest.Wait()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("drain ended with %v", err)
		}
	})
}
