package daemon

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stokerd/stoker/cache/store"
	"github.com/stokerd/stoker/context/content"
	"github.com/stokerd/stoker/internal/advise"
	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/config"
	"github.com/stokerd/stoker/internal/ledger"
	"github.com/stokerd/stoker/internal/project"
	"github.com/stokerd/stoker/internal/report"
	"github.com/stokerd/stoker/watcher"
)

// debounce is how long a burst of changes may go on before the picture follows:
// editors and git write many files within some ten milliseconds.
const debounce = 100 * time.Millisecond

// A repository is one that is watched. A single goroutine, run, owns its
// picture; everybody else reads state.
type repository struct {
	root   string
	daemon *Daemon
	log    *slog.Logger
	since  time.Time
	opener *project.Opener
	end    context.CancelFunc
	ended  chan struct{}

	state    atomic.Pointer[state]
	ready    chan struct{} // closed when the first state is there
	commands chan func(ctx context.Context)
	recount  poked // the suggestions may be others now

	suggestions atomic.Int64
	heldBack    atomic.Bool // a warm-up stopped short because git had not settled
	history     advise.Memory
	builds      builds         // what was observed, for status
	contents    *ledger.Reader // of the files that builds take
	past        past           // of its builds, for predictions
	told        told           // what was predicted of the next one
	unseen      atomic.Pointer[unseen]
	sums        poked // those of files are to be kept

	watchers map[string]*watcher.Watcher // belongs to run

	mu      sync.Mutex                   // guards the fields below
	consent store.Repository             // what its owner allowed: see Daemon.amend
	safe    map[string]bool              // commits that may run beside consent.Trusted
	builder string                       // that its file asks for and may; "" for none
	texts   map[string][]string          // digests of the Dockerfile texts of each definition, newest last
	shown   []*watcher.Watcher           // what watchers holds, for status
	values  map[string]map[string]string // of args, by the ref of a build that a definition was learnt from
}

// A state is a repository as readers see it. Picture is nil while none can be
// made; problem then says why.
type state struct {
	picture *project.Picture
	problem *project.Problem
	wire    api.Repository // of picture, as status shows it: never changed
	trusted bool           // the commit may run, if the repository may at all
	head    time.Time      // since when the picture's commit has been checked out
}

func newRepository(d *Daemon, r store.Repository) *repository {
	repo := &repository{
		root: r.Root, daemon: d, log: d.log.With("component", "repository", "root", r.Root), since: time.Now(),
		ended: make(chan struct{}), ready: make(chan struct{}), commands: make(chan func(context.Context)),
		recount: newPoked(), watchers: map[string]*watcher.Watcher{}, consent: r,
		contents: ledger.NewReader(), sums: newPoked(), safe: map[string]bool{}, texts: map[string][]string{}, values: map[string]map[string]string{},
	}
	repo.opener = &project.Opener{
		Secrets: d.secrets, Resolver: repositoryImages{d.images, repo}, User: d.options.User, Env: d.options.Env,
		Learnt: repo.definitions, Scanned: repo.recallSums,
	}
	repo.contents.Worked = func(w content.Work) {
		d.metrics.Digested(repo.root, w.Bytes)
		if w.Files > 0 {
			repo.sums.poke()
		}
	}
	return repo
}

// run follows the repository until ctx ends.
func (r *repository) run(ctx context.Context) {
	counted := make(chan struct{})
	go func() { defer close(counted); r.countSuggestions(ctx) }()
	kept := make(chan struct{})
	go func() { defer close(kept); r.keepSums(ctx) }()
	defer func() { <-counted; <-kept }()
	defer r.unwatchAll()
	r.open(ctx)
	close(r.ready)
	for ctx.Err() == nil && r.next(ctx) { // without a first picture there is no state
	}
}

// next waits for one thing to happen and sees to it; it returns false when ctx
// ends. It receives from the watchers itself: a batch in other hands would be
// missing from what their barrier promises (watcher.Flush).
func (r *repository) next(ctx context.Context) bool {
	cases := []reflect.SelectCase{
		{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(ctx.Done())},
		{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(r.commands)},
	}
	var roots []string
	for root, w := range r.watchers {
		cases = append(cases, reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(w.Batches())})
		roots = append(roots, root)
	}
	chosen, value, _ := reflect.Select(cases)
	switch got := value.Interface().(type) {
	case func(context.Context):
		got(ctx)
	case watcher.Batch:
		r.follow(ctx, map[string]watcher.Batch{roots[chosen-2]: got})
	default:
		return false
	}
	return ctx.Err() == nil
}

// do runs fn on the goroutine that owns the repository, and waits for it.
func (r *repository) do(ctx context.Context, fn func(ctx context.Context)) error {
	done := make(chan struct{})
	task := func(ctx context.Context) { defer close(done); fn(ctx) }
	select {
	case r.commands <- task:
	case <-r.ended:
		return errEnded
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-done:
		return nil
	case <-r.ended:
		return errEnded
	case <-ctx.Done():
		return ctx.Err()
	}
}

var errEnded = errors.New("the repository is no longer watched")

// fresh returns the state with everything that was written before the call (the
// barrier: watcher.Flush).
func (r *repository) fresh(ctx context.Context) (*state, error) {
	err := r.do(ctx, func(ctx context.Context) {
		flushed := map[string]watcher.Batch{}
		for root, w := range r.watchers {
			batch, err := w.Flush(ctx)
			if err != nil {
				batch = watcher.Batch{Overflow: true}
			}
			if !batch.Empty() {
				flushed[root] = batch
			}
		}
		p := r.state.Load().picture
		if p != nil {
			for root, paths := range p.Moved() {
				batch := flushed[root]
				batch.Paths = append(batch.Paths, paths...)
				flushed[root] = batch
			}
		}
		if len(flushed) > 0 || len(r.watchers) == 0 || p == nil || p.Stale() {
			r.follow(ctx, flushed)
		}
	})
	return r.state.Load(), err
}

// open makes a picture from the disk.
func (r *repository) open(ctx context.Context) {
	r.daemon.rest.stir()
	picture, err := r.opener.Open(ctx, r.root, r.allowed())
	if err == nil {
		picture, err = r.watchPicture(ctx, picture)
	}
	if err != nil {
		r.watchRoots(nil)
	}
	r.publish(ctx, picture, err)
}

// watchPicture watches what picture shows, and returns it with what changed in
// folders that were not watched when it was made.
func (r *repository) watchPicture(ctx context.Context, picture *project.Picture) (*project.Picture, error) {
	for {
		added := r.watchRoots(picture)
		if len(added) == 0 {
			return picture, nil
		}
		var err error
		if picture, err = r.opener.Update(ctx, picture, added); err != nil {
			return nil, err
		}
	}
}

// follow brings the picture up to what the watchers reported.
func (r *repository) follow(ctx context.Context, batches map[string]watcher.Batch) {
	r.daemon.rest.stir()
	old := r.state.Load()
	if old.picture == nil {
		r.open(ctx)
		return
	}
	changed := map[string][]string{}
	for root, b := range batches {
		changed[root] = b.Paths
		if b.Overflow {
			changed[root] = nil
		}
	}
	picture, err := r.opener.Update(ctx, old.picture, changed)
	if ctx.Err() != nil {
		return
	}
	if err == nil {
		r.noteSave(old.picture, picture)
		if picture.Defined != old.picture.Defined {
			picture, err = r.watchPicture(ctx, picture)
		}
	}
	r.publish(ctx, picture, err)
}

// publish hands a picture, or the reason why there is none, to the readers, and
// says what changed to those who act on it.
func (r *repository) publish(ctx context.Context, picture *project.Picture, err error) {
	if ctx.Err() != nil {
		return
	}
	old := r.state.Load()
	next := &state{picture: picture}
	if err != nil {
		next = &state{problem: r.explain(err)}
		r.log.Warn("no picture", "reason", next.problem.Text)
	}
	if old != nil && old.picture != nil && old.picture == next.picture {
		return
	}
	if next.picture == nil {
		r.state.Store(next)
		r.daemon.board.changed()
		return
	}
	r.noteTexts(next.picture)
	r.noteHead(ctx, next.picture)
	next.trusted, next.head, next.wire = r.trusted(next.picture), time.Now(), report.Repository(next.picture)
	again := r.heldBack.Swap(false) || old == nil || old.picture == nil || old.trusted != next.trusted
	if old != nil && old.picture != nil && old.picture.Head.Commit == next.picture.Head.Commit {
		next.head = old.head
	}
	r.state.Store(next)
	r.nameBuilder(ctx, next)
	for i, b := range next.picture.Builds {
		if !again && i < len(old.picture.Builds) && old.picture.Builds[i] == b {
			continue
		}
		r.touch(b, next.picture.Config)
	}
	r.daemon.board.changed()
	r.daemon.images.poke()
	r.recount.poke()
}

// reconsider publishes the picture again: what is trusted has changed.
func (r *repository) reconsider(ctx context.Context) {
	if s := r.state.Load(); s != nil && s.picture != nil {
		again := *s.picture
		r.publish(ctx, &again, nil)
	}
}

// nameBuilder notes which builder the repository's file asks for. It counts
// only where the repository may run: it would be sent everything.
func (r *repository) nameBuilder(ctx context.Context, s *state) {
	name := ""
	if cfg := s.picture.Config; cfg.BuilderFrom == config.FromRepository && s.trusted && r.allowed() {
		name = cfg.Builder
	}
	r.mu.Lock()
	before := r.builder
	r.mu.Unlock()
	if name == before {
		return
	}
	if name != "" && !r.takesPulls() {
		if why, moved := r.unsettled(ctx, s.picture); why != "" || moved {
			return // a pull may have brought the file; publish looks again after it
		}
	}
	r.mu.Lock()
	r.builder = name
	r.mu.Unlock()
	r.daemon.chooseBuilder()
}

// explain puts what keeps the repository from being pictured into words.
func (r *repository) explain(err error) *project.Problem {
	var bad *config.Error
	if errors.As(err, &bad) {
		bad := *bad
		if rel, err := filepath.Rel(r.root, bad.File); err == nil {
			bad.File = rel
		}
		hint := bad.Hint
		bad.Hint = ""
		return &project.Problem{Text: bad.Error(), Hint: hint}
	}
	if _, statErr := os.Stat(r.root); statErr != nil {
		return &project.Problem{Text: "the folder is gone", Hint: "put it back, or stop watching it: stoker down " + r.root}
	}
	return &project.Problem{Text: err.Error()}
}
