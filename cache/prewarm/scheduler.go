package prewarm

import (
	"context"
	"sync"
	"time"
)

// A Job names a definition of a repository.
type Job struct {
	Repository string // root
	Definition string
}

// A Scheduler runs warm-ups, one at a time. Make one with New; its methods are
// safe for concurrent use and return at once, but for Close.
type Scheduler struct {
	run    func(ctx context.Context, job Job)
	cancel context.CancelFunc
	wake   chan struct{} // holds one token: look again
	done   chan struct{}

	mu      sync.Mutex // guards the fields below
	due     map[Job]time.Time
	running Job
	stop    context.CancelFunc // ends the warm-up that runs; nil when none does
	held    int                // builds of the user's own under way
	ready   bool               // a builder is there
}

// New starts a scheduler. run warms a job and returns when that is done, has
// failed, or ctx ended because a newer change made it stale. Nothing runs
// before SetReady. The scheduler ends with ctx or Close.
func New(ctx context.Context, run func(ctx context.Context, job Job)) *Scheduler {
	ctx, cancel := context.WithCancel(ctx)
	s := &Scheduler{run: run, cancel: cancel, wake: make(chan struct{}, 1), done: make(chan struct{}), due: map[Job]time.Time{}}
	go s.loop(ctx)
	return s
}

// Close ends what runs and returns when it has ended.
func (s *Scheduler) Close() {
	s.cancel()
	<-s.done
}

// Touch has job warmed once it has not been touched for quiet. A warm-up of it
// that runs is ended: it warms what is no longer there.
func (s *Scheduler) Touch(job Job, quiet time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.due[job] = time.Now().Add(quiet)
	if s.stop != nil && s.running == job {
		s.stop()
	}
	s.poke()
}

// Forget drops a repository's jobs and ends one that runs.
func (s *Scheduler) Forget(repository string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for job := range s.due {
		if job.Repository == repository {
			delete(s.due, job)
		}
	}
	if s.stop != nil && s.running.Repository == repository {
		s.stop()
	}
}

// Due reports whether job is waiting to be warmed.
func (s *Scheduler) Due(job Job) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.due[job]
	return ok
}

// SetReady says whether a builder is there. What runs while it goes away fails
// by itself.
func (s *Scheduler) SetReady(ready bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready = ready
	s.poke()
}

// Hold keeps warm-ups back while a build of the user's own runs; the function
// that it returns lets them go on. One that runs goes on: what it does, the
// user's build joins.
func (s *Scheduler) Hold() (release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held++
	return sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.held--
		s.poke()
	})
}

// poke has the loop look again. The mutex is held.
func (s *Scheduler) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *Scheduler) loop(ctx context.Context) {
	defer close(s.done)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		job, jobCtx, wait, ok := s.next(ctx)
		if ok {
			s.run(jobCtx, job)
			s.finished()
			continue
		}
		timer.Stop()
		if wait > 0 {
			timer.Reset(wait)
		}
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		case <-timer.C:
		}
	}
}

// next takes the job that has been due longest. With none due, it returns how
// long to wait for the next one; 0 means until something is said.
func (s *Scheduler) next(ctx context.Context) (job Job, jobCtx context.Context, wait time.Duration, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() != nil || !s.ready || s.held > 0 || len(s.due) == 0 {
		return Job{}, nil, 0, false
	}
	var first time.Time
	for j, at := range s.due {
		if first.IsZero() || at.Before(first) {
			job, first = j, at
		}
	}
	wait = time.Until(first)
	if wait > 0 {
		return Job{}, nil, wait, false
	}
	delete(s.due, job)
	jobCtx, s.stop = context.WithCancel(ctx)
	s.running = job
	return job, jobCtx, 0, true
}

// finished lets go of the job that ran.
func (s *Scheduler) finished() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stop()
	s.stop = nil
}
