package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/stokerd/stoker/cache/buildkit"
	"github.com/stokerd/stoker/cache/prewarm"
	"github.com/stokerd/stoker/cache/store"
	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/config"
	"github.com/stokerd/stoker/internal/ipc"
	"github.com/stokerd/stoker/internal/metrics"
	"github.com/stokerd/stoker/internal/project"
	"github.com/stokerd/stoker/internal/server"
)

// Options configure Run. All fields must be set but User, Ready, Rest and Watch.
type Options struct {
	Paths   ipc.Paths
	Version api.Version
	Log     *slog.Logger
	Builder buildkit.Env      // where builders are looked for
	Env     map[string]string // the process's variables, for compose files
	User    *config.File      // the user's configuration; nil for none
	// Ready is called once, when requests are answered.
	Ready func()
	// Rest is called with true when nothing has happened for a while, and with false when
	// something happens again. All calls are from one goroutine.
	Rest func(resting bool)
	// Watch are directories to watch from the start, beside those that were
	// watched when the last daemon ended.
	Watch []api.UpRequest
}

// A Daemon serves the repositories of one user. Its methods answer requests and
// are safe for concurrent use.
type Daemon struct {
	options Options
	log     *slog.Logger
	store   *store.Store
	secrets *project.SecretCache
	images  *images
	imports *imports
	builder *builder
	warmer  *prewarm.Scheduler
	board   *board
	metrics *metrics.Set
	rest    *rest
	started time.Time
	stop    context.CancelFunc
	ctx     context.Context // of Run, for what a request starts and outlives it
	group   *errgroup.Group // has all goroutines of Run and of the repositories
	resumed chan struct{}   // closed once what was watched before is watched again

	// Locks are taken in this order: turn, choosing or amending, mu, and then that of a
	// repository, a builder or another part.
	turn     sync.Mutex // held while a repository comes or goes
	choosing sync.Mutex // held while the builder is chosen
	amending sync.Mutex // held while what is stored of a repository changes: see amend

	mu           sync.Mutex             // guards the fields below
	repositories map[string]*repository // by root
	accounts     map[string]account     // by account.name
}

var _ server.Backend = (*Daemon)(nil)

// Run is the daemon: it takes the user's lock, serves until ctx ends or a
// client asks it to stop, and returns when everything it started has ended. An
// error that wraps ipc.ErrRunning means that another daemon serves already.
func Run(ctx context.Context, o Options) (err error) {
	lock, err := ipc.Acquire(ctx, o.Paths)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Release()) }()
	kept, err := store.Open(o.Paths.Store)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, kept.Close()) }()
	if moved := kept.Replaced(); moved != "" {
		o.Log.Warn("the store was corrupt and has been put aside; a new one was begun", "moved", moved)
	}
	base, err := kept.Images()
	if err != nil {
		return err
	}
	listener, err := lock.Listen()
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	group, ctx := errgroup.WithContext(ctx)
	d := newDaemon(o, kept, base)
	d.ctx, d.stop, d.group = ctx, stop, group
	d.chooseBuilder()
	d.warmer = prewarm.New(ctx, d.warm)
	defer d.warmer.Close()

	group.Go(func() error {
		srv := &server.Server{Backend: d, Version: o.Version, Stop: stop, Log: o.Log.With("component", "server")}
		return srv.Serve(ctx, listener)
	})
	group.Go(func() error { return d.builder.run(ctx, d) })
	group.Go(func() error { return d.lookUp(ctx) })
	group.Go(func() error { return d.retain(ctx) })
	if o.User != nil && o.User.Metrics != "" {
		group.Go(func() error { return d.serveMetrics(ctx, o.User.Metrics) })
	}
	group.Go(func() error { d.rest.run(ctx); return nil })
	d.resume(ctx)
	close(d.resumed)
	if o.Ready != nil {
		o.Ready()
	}
	o.Log.Info("serving", "socket", o.Paths.Socket, "version", o.Version.Version)
	if err := group.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// newDaemon returns a daemon that watches nothing yet, and none of whose goroutines run.
func newDaemon(o Options, kept *store.Store, base *store.Images) *Daemon {
	d := &Daemon{
		options:      o,
		log:          o.Log,
		store:        kept,
		secrets:      project.NewSecretCache(),
		images:       newImages(base),
		imports:      newImports(),
		builder:      &builder{env: o.Builder, log: o.Log.With("component", "builder")},
		board:        newBoard(),
		rest:         newRest(o.Rest),
		started:      time.Now(),
		resumed:      make(chan struct{}),
		repositories: map[string]*repository{},
		accounts:     map[string]account{},
	}
	d.metrics = metrics.New(o.Version.Version, d.held)
	return d
}

// resume watches again what was watched when the last daemon ended, and begins to watch what
// Options.Watch names. Errors are logged. The goroutines that it starts are of d.group, and
// end when their requests are answered or ctx ends.
func (d *Daemon) resume(ctx context.Context) {
	known, err := d.store.Repositories()
	if err != nil {
		d.log.Error("read the watched repositories", "error", err)
	}
	for _, r := range known {
		if !r.Watched {
			continue
		}
		if _, err := os.Stat(r.Root); err != nil {
			d.log.Warn("a watched repository is gone", "root", r.Root)
		}
		d.forgetRunning(r.Root)
		if _, err := d.watch(r.Root); err != nil {
			d.log.Error("watch", "root", r.Root, "error", err)
		}
	}
	for _, req := range d.options.Watch {
		d.group.Go(func() error {
			if _, err := d.Up(ctx, req); err != nil {
				d.log.Error("watch", "dir", req.Dir, "error", err)
			}
			return nil
		})
	}
}

// watch returns the repository at root, and begins to watch it if it is not watched yet. The
// goroutine for that is of d.group; it ends with the repository (see repository).
func (d *Daemon) watch(root string) (*repository, error) {
	d.amending.Lock()
	defer d.amending.Unlock()
	rec, _, err := d.store.Repository(root)
	if err != nil {
		return nil, fmt.Errorf("read what is kept of %s: %w", root, err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if have := d.repositories[root]; have != nil {
		return have, nil
	}
	if d.ctx.Err() != nil {
		return nil, errEnded // the daemon ends, and Run may no longer wait for a goroutine
	}
	repo := newRepository(d, rec)
	d.repositories[root] = repo
	ctx, cancel := context.WithCancel(d.ctx)
	repo.end = cancel
	d.group.Go(func() error {
		defer close(repo.ended)
		defer cancel()
		repo.run(ctx)
		return nil
	})
	return repo, nil
}

// all returns the watched repositories, sorted by root, so that one within another comes
// after that.
func (d *Daemon) all() []*repository {
	d.mu.Lock()
	defer d.mu.Unlock()
	list := make([]*repository, 0, len(d.repositories))
	for _, r := range d.repositories {
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b *repository) int { return strings.Compare(a.root, b.root) })
	return list
}

// awaitResumed waits until what was watched before is watched again, since requests come in
// before that. The error is that of ctx.
func (d *Daemon) awaitResumed(ctx context.Context) error {
	select {
	case <-d.resumed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// around returns the watched repository that dir lies in. If there is none, the error is an
// [*api.Error] with a hint how to watch one.
func (d *Daemon) around(ctx context.Context, dir string) (*repository, error) {
	if err := d.awaitResumed(ctx); err != nil {
		return nil, err
	}
	given := filepath.Clean(dir)
	if resolved, err := filepath.EvalSymlinks(dir); err == nil {
		dir = resolved
	}
	root, err := project.Root(ctx, dir)
	if err != nil {
		// The folder may be gone, and still be watched.
		root = filepath.Clean(dir)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, name := range []string{root, given} { // a link may have taken the place of the folder
		if repo := d.repositories[name]; repo != nil {
			return repo, nil
		}
	}
	// Without git, dir may be deep in a folder that is watched. The innermost one counts.
	var nearest *repository
	for root, repo := range d.repositories {
		if rel, err := filepath.Rel(root, dir); err == nil && filepath.IsLocal(rel) && (nearest == nil || len(root) > len(nearest.root)) {
			nearest = repo
		}
	}
	if nearest != nil {
		return nearest, nil
	}
	return nil, &api.Error{Code: api.NotFound, Message: fmt.Sprintf("%s is not watched", root), Hint: "stoker up " + root}
}
