package daemon

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/stokerd/stoker/cache/buildkit"
	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/config"
	"github.com/stokerd/stoker/internal/report"
	"github.com/stokerd/stoker/watcher"
)

// A builder finds the BuildKit that the user's builds run on, and stays connected to it. Its
// methods are safe for concurrent use.
type builder struct {
	env buildkit.Env
	log *slog.Logger

	mu        sync.Mutex          // guards the fields below
	explicit  string              // the name that was asked for; "" for whatever is found
	from      string              // root of the repository whose file asked for it; "" for none
	connected []*buildkit.Builder // all nodes; builds of stoker run on the first
	problem   string              // why none is connected
	hint      string              // what to do about that
	again     chan struct{}       // closed when explicit changes; nil after that
}

// current returns the builder to solve on, nil while there is none.
func (b *builder) current() *buildkit.Builder {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.connected) == 0 {
		return nil
	}
	return b.connected[0]
}

// wire describes the builder for users.
func (b *builder) wire() api.Builder {
	b.mu.Lock()
	defer b.mu.Unlock()
	hint := b.hint
	if b.from != "" {
		hint = "stoker.yaml of " + b.from + " chose this builder"
	}
	if len(b.connected) == 0 {
		return api.Builder{Problem: b.problem, Hint: hint}
	}
	answer := report.Connected(b.connected[0].Info())
	answer.Hint = hint
	return answer
}

// missing is the error of a request that needs a builder.
func (b *builder) missing() error {
	w := b.wire()
	if w.Problem == "" {
		w.Problem = "no builder has answered yet"
	}
	return &api.Error{Code: api.NoBuilder, Message: w.Problem, Hint: w.Hint}
}

// chooseBuilder has the builder used that a repository asks for, of several the one watched
// first. If none does, that is the builder in the user's configuration, and if that names
// none, the one that the user's builds would run on.
func (d *Daemon) chooseBuilder() {
	d.choosing.Lock()
	defer d.choosing.Unlock()
	var (
		explicit, from string
		since          time.Time
	)
	if mine := config.Merge(config.Flags{}, nil, d.options.User, false); mine.BuilderFrom == config.FromUser {
		explicit = mine.Builder
	}
	for _, r := range d.all() {
		r.mu.Lock()
		name, began := r.builder, r.consent.Since
		r.mu.Unlock()
		if name != "" && (from == "" || began.Before(since)) {
			explicit, from, since = name, r.root, began
		}
	}
	d.builder.use(explicit, from)
}

// use sets the name of the builder to look for, "" for whatever is found, and the repository
// that asked for it. If the name is another one, run leaves the builder that is connected.
func (b *builder) use(explicit, from string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.from = from
	if b.explicit == explicit {
		return
	}
	b.explicit = explicit
	if b.again != nil {
		close(b.again)
		b.again = nil
	}
}

// run looks for a builder, listens to its builds until the connection breaks or another
// builder is asked for, and begins anew, until ctx ends. It returns nil.
func (b *builder) run(ctx context.Context, d *Daemon) error {
	for wait := (backoff{}); ctx.Err() == nil; {
		found, again := b.look(ctx, d)
		d.board.changed()
		if len(found.Builders) == 0 {
			// await sees a socket appear. It cannot see a builder come up at another
			// address, or behind a socket that is there already.
			var retry time.Duration
			if found.Unseen || slices.ContainsFunc(found.Sockets, exists) {
				retry = wait.next()
			}
			b.await(ctx, found.Sockets, again, retry)
			continue
		}
		began := time.Now()
		// This may be another builder than was warmed, or an empty one.
		for _, r := range d.all() {
			r.touchAll()
		}
		d.warmer.SetReady(true)
		d.images.poke()
		b.serve(ctx, d, found.Builders, again)
		d.warmer.SetReady(false)
		b.set(nil, "the connection to the builder was lost", "")
		for _, node := range found.Builders {
			if err := node.Close(); err != nil {
				b.log.Debug("close", "error", err)
			}
		}
		d.board.changed()
		select {
		case <-ctx.Done():
		case <-again:
		case <-time.After(wait.after(time.Since(began))):
		}
	}
	return nil
}

// A backoff is how long to wait before the next of several attempts. Its zero value begins
// with the shortest wait.
type backoff struct{ last time.Duration }

// The shortest and the longest wait of a backoff.
const (
	firstWait = time.Second
	lastWait  = time.Minute
)

// next returns the next wait, which is twice the one before.
func (b *backoff) next() time.Duration {
	b.last = min(max(2*b.last, firstWait), lastWait)
	return b.last
}

// after returns the next wait after a connection that broke. One that lasted for longer than
// lastWait is tried again soon.
func (b *backoff) after(lasted time.Duration) time.Duration {
	if lasted > lastWait {
		*b = backoff{}
	}
	return b.next()
}

// workerTimeout bounds how long a builder may take to list its capabilities.
const workerTimeout = 10 * time.Second

// look looks for a builder once, and connects to it. The channel is closed when another
// builder is asked for meanwhile or later.
func (b *builder) look(ctx context.Context, d *Daemon) (buildkit.Discovery, <-chan struct{}) {
	b.mu.Lock()
	explicit := b.explicit
	b.again = make(chan struct{})
	again := b.again
	b.mu.Unlock()
	found, err := buildkit.Discover(ctx, b.env, explicit)
	if err != nil {
		b.set(nil, err.Error(), "")
		return buildkit.Discovery{}, again
	}
	if len(found.Builders) > 0 {
		// This is done before set, so that no prediction can come before it.
		limited, cancel := context.WithTimeout(ctx, workerTimeout)
		worker, err := found.Builders[0].Worker(limited)
		cancel()
		if err != nil {
			b.log.Warn("the builder does not say what it can do: it is taken to have every capability", "error", err)
		}
		d.images.setWorker(worker)
		d.dropBacklogs(found.Builders)
		for _, node := range found.Builders {
			if node.Info().History {
				d.account(node).fallBehind()
			}
		}
	}
	b.set(found.Builders, found.Problem(), found.Hint())
	if len(found.Builders) > 0 {
		info := found.Builders[0].Info()
		b.log.Info("connected", "builder", info.Name, "kind", info.Kind, "version", info.Version)
	}
	return found, again
}

// set sets which nodes are connected or, if none is, why and what to do about that.
func (b *builder) set(connected []*buildkit.Builder, problem, hint string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.connected, b.problem, b.hint = connected, problem, hint
}

// serve listens to the builds of every node. It returns when the connection to one breaks,
// another builder is asked for or ctx ends, and all its goroutines have ended.
func (b *builder) serve(ctx context.Context, d *Daemon, nodes []*buildkit.Builder, again <-chan struct{}) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	for _, node := range nodes {
		group.Go(func() error {
			err := d.listen(ctx, node)
			if errors.Is(err, buildkit.ErrNoHistory) {
				b.log.Warn("builds cannot be counted", "reason", err)
				<-ctx.Done() // stay connected: it can still be warmed
			}
			return err
		})
	}
	group.Go(func() error {
		select {
		case <-again:
			return errors.New("another builder was asked for")
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	if err := group.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		b.log.Info("connection ended", "reason", err)
	}
}

// exists reports whether there is a file of that name, of whatever kind.
func exists(name string) bool {
	_, err := os.Lstat(name)
	return err == nil
}

// await waits until one of the sockets may have appeared, another builder is asked for, retry
// has passed, unless that is zero, or ctx ends. It does not poll, but watches the folders of
// the sockets; the goroutines that do so end before await returns.
func (b *builder) await(ctx context.Context, sockets []string, again <-chan struct{}, retry time.Duration) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	appeared := newPoked()
	var group errgroup.Group
	defer func() { cancel(); _ = group.Wait() }()
	for _, folder := range folders(sockets) {
		w, err := watcher.New(folder, watcher.Options{
			Debounce: debounce, Log: b.log, Prune: func(dir string) bool { return dir != "." },
		})
		if err != nil {
			b.log.Warn("wait for a builder", "folder", folder, "error", err)
			continue
		}
		group.Go(func() error { relay(ctx, w, folder, sockets, appeared); return nil })
	}
	var retried <-chan time.Time
	if retry > 0 {
		timer := time.NewTimer(retry)
		defer timer.Stop()
		retried = timer.C
	}
	select {
	case <-ctx.Done():
	case <-appeared:
	case <-again:
	case <-retried:
	}
}

// relay pokes appeared when something changes in folder, which w watches, that may be one of
// the sockets. It closes w and returns when ctx ends.
func relay(ctx context.Context, w *watcher.Watcher, folder string, sockets []string, appeared poked) {
	defer w.Close()
	for {
		select {
		case <-ctx.Done():
			return
		case batch, ok := <-w.Batches():
			if !ok {
				return
			}
			if concerns(folder, batch, sockets) {
				appeared.poke()
			}
		}
	}
}

// folders returns, for each of the sockets, the nearest folder above it that exists, without
// repetition. The root folder is left out: it is no place for sockets.
func folders(sockets []string) []string {
	var list []string
	seen := map[string]bool{}
	for _, s := range sockets {
		dir := filepath.Dir(s)
		for {
			if fi, err := os.Stat(dir); err == nil && fi.IsDir() {
				break
			}
			if parent := filepath.Dir(dir); parent != dir {
				dir = parent
				continue
			}
			break
		}
		if dir != string(filepath.Separator) && !seen[dir] {
			seen[dir] = true
			list = append(list, dir)
		}
	}
	return list
}

// concerns reports whether a batch of changes in folder may have one of the sockets, or of a
// folder above it.
func concerns(folder string, batch watcher.Batch, sockets []string) bool {
	if batch.Overflow {
		return true
	}
	for _, p := range batch.Paths {
		abs := filepath.Join(folder, p)
		for _, s := range sockets {
			if s == abs {
				return true
			}
			if rel, err := filepath.Rel(abs, s); err == nil && filepath.IsLocal(rel) {
				return true
			}
		}
	}
	return false
}
