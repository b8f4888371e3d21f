package daemon

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stokerd/stoker/context/dockerfile"
)

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
			t.Errorf("an empty queue settles after %v, with %d tasks", d, len(q.tasks))
		}
		q.add(func() { time.Sleep(time.Second) })
		if d := wait(); d != time.Minute {
			t.Errorf("tasks that nobody does settle after %v", d)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); _ = q.run(ctx) }()
		synctest.Wait() // the task has begun
		if d := wait(); d != time.Second {
			t.Errorf("a task of a second settles after %v", d)
		}
		synctest.Wait()
		if d := wait(); d != 0 {
			t.Errorf("all done, it settles after %v", d)
		}
		cancel()
		<-ended
	})
}

func TestGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g gate
		wait := func() time.Duration {
			t.Helper()
			began := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if open := g.wait(ctx); open != (ctx.Err() == nil) || open != g.isOpen() {
				t.Errorf("after %v it is said to be open: %v, %v", time.Since(began), open, g.isOpen())
			}
			return time.Since(began)
		}
		if d := wait(); d != 0 {
			t.Errorf("open from the beginning, it lets through after %v", d)
		}
		g.shut()
		g.shut()
		if d := wait(); d != time.Minute {
			t.Errorf("while it is shut, who waits goes on after %v", d)
		}
		go func() { time.Sleep(time.Second); g.open() }()
		if d := wait(); d != time.Second {
			t.Errorf("opened after a second, it lets through after %v", d)
		}
		g.open()
		if d := wait(); d != 0 {
			t.Errorf("open again, it lets through after %v", d)
		}
	})
}

// TestAnswerReachesAllWhoWait has a repository begin to wait for an image that is
// already being looked up for another one.
func TestAnswerReachesAllWhoWait(t *testing.T) {
	i, key := newImages(nil), image{"docker.io/library/node:20", "linux/amd64"}
	first, second := &repository{}, &repository{}
	for _, r := range []*repository{first, second} {
		r.daemon = &Daemon{images: i}
		i.wanted[key] = append(i.wanted[key], r)
	}
	by, news := i.answered(key, dockerfile.Image{Digest: "sha256:a", Config: []byte("{}")}, true)
	if !news || !slices.Equal(by, []*repository{first, second}) {
		t.Errorf("%d repositories are told, news: %v", len(by), news)
	}
	if len(i.wanted) > 0 {
		t.Error("it is still waited for")
	}
}
