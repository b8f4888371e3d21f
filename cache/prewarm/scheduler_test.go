package prewarm_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stokerd/stoker/cache/prewarm"
)

// A kitchen notes what was warmed; each warm-up takes a second.
type kitchen struct {
	mu   sync.Mutex
	done []string
	cut  []string
}

func (k *kitchen) run(ctx context.Context, job prewarm.Job) {
	var list *[]string
	select {
	case <-ctx.Done():
		list = &k.cut
	case <-time.After(time.Second):
		list = &k.done
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	*list = append(*list, job.Definition)
}

func (k *kitchen) expect(t *testing.T, done, cut []string) {
	t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	if !slices.Equal(k.done, done) || !slices.Equal(k.cut, cut) {
		t.Errorf("warmed %q and ended %q, want %q and %q", k.done, k.cut, done, cut)
	}
}

func TestScheduler(t *testing.T) {
	api, web := prewarm.Job{Repository: "r", Definition: "api"}, prewarm.Job{Repository: "r", Definition: "web"}
	const quiet = 2 * time.Second
	tests := []struct {
		name      string
		do        func(s *prewarm.Scheduler)
		done, cut []string
	}{
		{"waits for quiet", func(s *prewarm.Scheduler) {
			for range 5 {
				s.Touch(api, quiet)
				time.Sleep(time.Second)
			}
		}, []string{"api"}, nil},
		{"first touched, first warmed", func(s *prewarm.Scheduler) {
			s.Touch(web, quiet)
			time.Sleep(time.Millisecond)
			s.Touch(api, quiet)
		}, []string{"web", "api"}, nil},
		{"a newer change ends a stale one", func(s *prewarm.Scheduler) {
			s.Touch(api, quiet)
			time.Sleep(2500 * time.Millisecond)
			s.Touch(api, quiet)
		}, []string{"api"}, []string{"api"}},
		{"another definition's change does not", func(s *prewarm.Scheduler) {
			s.Touch(api, quiet)
			time.Sleep(2500 * time.Millisecond)
			s.Touch(web, quiet)
		}, []string{"api", "web"}, nil},
		{"held back during the user's build", func(s *prewarm.Scheduler) {
			release := s.Hold()
			s.Touch(api, quiet)
			time.Sleep(time.Hour)
			s.Touch(web, quiet)
			release()
			release() // twice does no harm
		}, []string{"api", "web"}, nil},
		{"held for good", func(s *prewarm.Scheduler) {
			s.Hold()
			s.Touch(api, quiet)
		}, nil, nil},
		{"forgotten", func(s *prewarm.Scheduler) {
			s.Touch(api, quiet)
			time.Sleep(2500 * time.Millisecond)
			s.Touch(web, quiet)
			s.Forget("r")
		}, nil, []string{"api"}},
		{"waits for a builder", func(s *prewarm.Scheduler) {
			s.SetReady(false)
			s.Touch(api, quiet)
			time.Sleep(time.Hour)
			s.SetReady(true)
		}, []string{"api"}, nil},
		{"no builder", func(s *prewarm.Scheduler) {
			s.SetReady(false)
			s.Touch(api, quiet)
		}, nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := &kitchen{}
				s := prewarm.New(t.Context(), k.run)
				s.SetReady(true)
				tt.do(s)
				time.Sleep(time.Minute)
				k.expect(t, tt.done, tt.cut)
				s.Close()
			})
		})
	}
}

func TestCloseEndsWhatRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &kitchen{}
		s := prewarm.New(t.Context(), k.run)
		s.SetReady(true)
		s.Touch(prewarm.Job{Definition: "api"}, 0)
		time.Sleep(time.Millisecond)
		s.Close()
		k.expect(t, nil, []string{"api"})
	})
}
