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

// debounce is how long after a first change others are collected before the picture follows.
// Editors and git write many files within some ten milliseconds.
const debounce = 100 * time.Millisecond

// A repository is one that is watched. Its picture has a single owner, the goroutine of run:
// that makes pictures, and publishes each as a new state for all others to read. What has to
// happen on that goroutine is sent to it with do. It ends when end is called or the daemon's
// context ends, and then closes ended.
type repository struct {
	root   string
	daemon *Daemon
	log    *slog.Logger
	since  time.Time // when the daemon began to watch it
	opener *project.Opener
	end    context.CancelFunc
	ended  chan struct{}

	state    atomic.Pointer[state] // nil until ready is closed
	ready    chan struct{}         // closed when the first state is there
	commands chan func(ctx context.Context)
	watchers map[string]*watcher.Watcher // by folder; only run's goroutine may use it

	recount     poked        // wakes countSuggestions: there may be others now
	suggestions atomic.Int64 // their number, for status
	sums        poked        // wakes keepSums: files were read
	heldBack    atomic.Bool  // a warm-up stopped short because git had not settled
	history     advise.Memory
	builds      builds         // summaries of its builds, for status
	contents    *ledger.Reader // of the files that builds take
	past        past           // its latest builds, for predictions
	told        told           // the latest predictions, for metrics
	unseen      atomic.Pointer[unseen]
	trail       trail

	mu      sync.Mutex                   // guards the fields below
	consent store.Repository             // what its owner allowed: see Daemon.amend
	safe    map[string]bool              // commits that are trusted beside consent.Trusted
	builder string                       // the one that its file asks for and may; "" for none
	texts   map[string][]string          // by definition: digests of its Dockerfiles, newest last; see noteTexts
	shown   []*watcher.Watcher           // a copy of watchers, for status
	values  map[string]map[string]string // of args, by the ref of the build that a definition was learnt from
}

// A state is a repository as readers see it. It is never changed.
type state struct {
	picture *project.Picture // nil if none can be made
	problem *project.Problem // why; nil if there is a picture
	wire    api.Repository   // picture as status shows it
	trusted bool             // the commit may run, if the repository may at all: see repository.trusted
	head    time.Time        // since when the commit of picture has been checked out
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

// run opens the repository and follows its changes until ctx ends. It returns once the two
// goroutines that it starts have ended, too.
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

// next waits for a command or a batch of changes, and handles it. It returns false when ctx
// ends. It receives from the watchers directly, without a goroutine for each, because a batch
// on its way through one would be missing from what Watcher.Flush promises.
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

// do runs fn on the goroutine of run, and waits for it. fn gets run's context. The error is
// errEnded if the repository is no longer watched, or that of ctx; fn may then have run, or
// run still.
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

// errEnded says that a repository ended before a request to it was answered.
var errEnded = errors.New("the repository is no longer watched")

// fresh returns a state that has everything that was written to the disk before the call
// (see watcher.Watcher.Flush). The error is as for do.
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
		r.trail.miss()
		var err error
		if picture, err = r.opener.Update(ctx, picture, added); err != nil {
			return nil, err
		}
	}
}

// follow brings the picture up to what the watchers reported.
func (r *repository) follow(ctx context.Context, batches map[string]watcher.Batch) {
	r.daemon.rest.stir()
	r.trail.add(batches)
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

// publish makes a picture, or the reason why there is none, the state that others read. It
// has those definitions warmed whose builds changed, and tells all who wait for changes.
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

// reconsider publishes the same picture again, after it changed which commits are trusted.
func (r *repository) reconsider(ctx context.Context) {
	if s := r.state.Load(); s != nil && s.picture != nil {
		again := *s.picture
		r.publish(ctx, &again, nil)
	}
}

// nameBuilder notes which builder the repository's file asks for. The file is heeded only if
// the repository may run: its builder would be sent all files.
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

// explain says in the user's words why there is no picture.
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
