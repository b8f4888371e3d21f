package daemon

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stokerd/stoker/context/dockerfile"
)

// TestQueueSettles checks how long settle waits for queues with and without tasks.
func TestQueueSettles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		wait := func() time.Duration {
			began := time.Now()
			q.settle(t.Context(), time.Minute)
			return time.Since(began)
		}
		// A builder without a history has nothing to enter, and nobody who would.
		if d := wait(); d != 0 || len(q.tasks) > 0 {
			t.Errorf("an empty queue settles after %v with %d tasks, want at once with none", d, len(q.tasks))
		}
		q.add(func() { time.Sleep(time.Second) })
		if d := wait(); d != time.Minute {
			t.Errorf("a queue that nobody runs settles after %v, want the limit of a minute", d)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); _ = q.run(ctx) }()
		synctest.Wait() // the task has begun
		if d := wait(); d != time.Second {
			t.Errorf("a queue with a task of a second settles after %v, want a second", d)
		}
		synctest.Wait()
		if d := wait(); d != 0 {
			t.Errorf("with all tasks done the queue settles after %v, want at once", d)
		}
		cancel()
		<-ended
	})
}

// TestGate checks how long wait waits as a gate is shut and opened.
func TestGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g gate
		wait := func() time.Duration {
			t.Helper()
			began := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if open := g.wait(ctx); open != (ctx.Err() == nil) || open != g.isOpen() {
				t.Errorf("after %v wait = %v and isOpen = %v, want %v", time.Since(began), open, g.isOpen(), ctx.Err() == nil)
			}
			return time.Since(began)
		}
		if d := wait(); d != 0 {
			t.Errorf("waited %v for a new gate, want none", d)
		}
		g.shut()
		g.shut()
		if d := wait(); d != time.Minute {
			t.Errorf("waited %v for a gate that is shut, want until the end of ctx, a minute", d)
		}
		go func() { time.Sleep(time.Second); g.open() }()
		if d := wait(); d != time.Second {
			t.Errorf("waited %v for a gate that opens after a second, want a second", d)
		}
		g.open()
		if d := wait(); d != 0 {
			t.Errorf("waited %v for a gate that is open again, want none", d)
		}
	})
}

// TestAnswerReachesAllWhoWait checks that the answer about an image is for all repositories
// that want it by the time it comes, not only the one that it was looked up for.
func TestAnswerReachesAllWhoWait(t *testing.T) {
	i, key := newImages(nil), image{"docker.io/library/node:20", "linux/amd64"}
	first, second := &repository{}, &repository{}
	for _, r := range []*repository{first, second} {
		r.daemon = &Daemon{images: i}
		i.wanted[key] = append(i.wanted[key], r)
	}
	by, news := i.answered(key, dockerfile.Image{Digest: "sha256:a", Config: []byte("{}")}, true)
	if !news || !slices.Equal(by, []*repository{first, second}) {
		t.Errorf("answered returned %d repositories and news = %v, want both repositories and true", len(by), news)
	}
	if len(i.wanted) > 0 {
		t.Errorf("%d images are still wanted, want none", len(i.wanted))
	}
}
