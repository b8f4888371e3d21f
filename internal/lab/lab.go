package lab

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
)

// AllReal, in Options.Real, is every image that can be real.
const AllReal = "all"

// Options say how a Lab is started. The zero value is a temporary lab without logs.
type Options struct {
	// Dir is the directory of the lab's state: cache, images, logs. If it is empty, the lab makes a
	// temporary one that Close removes. The path must be short, because a socket is in it (unix(7):
	// 107 bytes).
	Dir string
	// Real are the names of images, such as node:24, for which the lab has real systems in place of
	// stand-ins; AllReal stands for every one that can be real. If there are any, Debian's own names
	// are real, too. The first lab of a machine that needs an image makes it with debootstrap, from
	// public package archives, which takes some minutes.
	Real []string
	// Engine starts a Docker Engine beside buildkitd, with the same registry in place of docker.io.
	// The first lab of a machine with one compiles it, which takes some minutes.
	Engine bool
	// OldStore has the Engine keep images with a graph driver, as installations that are older than
	// Docker 29 still do.
	OldStore bool
	// Log receives what the lab does; nil discards it. buildkitd's own log is the file
	// buildkitd.log in the lab's directory.
	Log *slog.Logger
}

// Lab is a running buildkitd with its registry, or the address of another process's (see Attach).
// Only Start, Attach and For make a usable one.
type Lab struct {
	address  string
	registry string
	root     string
	engine   string
	real     bool

	// The following are set only by Start: an attached Lab owns nothing.
	dir     string
	temp    bool // Close removes dir
	lock    *flock.Flock
	serving *registryServer
	daemon  *server // buildkitd
	docker  *server // nil without Options.Engine
}

// lockName is a file in the directory of a lab that is locked while the lab runs. It tells a running
// lab from one that was killed.
const lockName = "lock"

// Start starts a lab and returns when buildkitd accepts connections and every image is in the
// registry. The first start on a machine compiles buildkitd, which takes some minutes. The end of ctx
// stops only the start, not the lab. The caller must Close the Lab.
func Start(ctx context.Context, opts Options) (*Lab, error) {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if err := checkMachine(); err != nil {
		return nil, err
	}
	bins, err := tools(ctx, opts.Log)
	if err != nil {
		return nil, err
	}
	engineBins := ""
	if opts.Engine {
		if engineBins, err = build(ctx, opts.Log, engine()); err != nil {
			return nil, err
		}
	}
	l := &Lab{dir: opts.Dir}
	if err := l.claim(); err != nil {
		return nil, err
	}
	err = l.start(ctx, bins, opts.Log)
	if err == nil && len(opts.Real) > 0 {
		l.real = true
		err = l.pushReal(ctx, opts.Log, opts.Real)
	}
	if err == nil && opts.Engine {
		err = l.startEngine(ctx, engineBins, opts)
	}
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// claim makes the lab's directory and locks it. It fails if another lab runs there.
func (l *Lab) claim() error {
	if l.dir == "" {
		sweep(os.TempDir())
		dir, err := os.MkdirTemp("", tempPrefix)
		if err != nil {
			return fmt.Errorf("make the lab's directory: %w", err)
		}
		l.dir, l.temp = dir, true
	}
	dir, err := filepath.Abs(l.dir)
	if err != nil {
		return fmt.Errorf("find the lab's directory: %w", err)
	}
	l.dir = dir
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the lab's directory: %w", err)
	}
	lock := flock.New(filepath.Join(dir, lockName))
	ok, err := lock.TryLock()
	if err != nil {
		return fmt.Errorf("lock %s: %w", dir, err)
	}
	if !ok {
		return fmt.Errorf("another lab runs in %s: stop it, or give this one another --dir", dir)
	}
	l.lock = lock
	return nil
}

// start starts the registry and buildkitd, and puts the stand-ins and the frontend into the registry.
func (l *Lab) start(ctx context.Context, bins string, log *slog.Logger) error {
	var err error
	if l.serving, err = serveRegistry(ctx, filepath.Join(l.dir, "blobs")); err != nil {
		return err
	}
	l.registry = l.serving.addr
	l.root = filepath.Join(l.dir, "root")
	l.address = "unix://" + filepath.Join(l.dir, "buildkitd.sock")
	began := time.Now()
	if l.daemon, err = startBuildkitd(ctx, bins, l.dir, l.registry); err != nil {
		return err
	}
	log.Info("buildkitd is ready", "address", l.address, "took", time.Since(began).Round(time.Millisecond))
	began = time.Now()
	if err := l.pushStandIns(ctx); err != nil {
		return err
	}
	if err := l.pushFrontend(ctx, bins); err != nil {
		return err
	}
	log.Info("base images are in the registry", "registry", l.registry, "took", time.Since(began).Round(time.Millisecond))
	return nil
}

// startEngine starts the lab's Docker Engine.
func (l *Lab) startEngine(ctx context.Context, bins string, opts Options) error {
	began := time.Now()
	socket := filepath.Join(l.dir, "docker.sock")
	var err error
	if l.docker, err = startEngine(ctx, bins, l.dir, socket, l.serving, opts.OldStore); err != nil {
		return err
	}
	l.engine = "unix://" + socket
	opts.Log.Info("the Docker Engine is ready", "address", l.engine, "took", time.Since(began).Round(time.Millisecond))
	return nil
}

// Close stops the lab's servers, waits for them to end, and removes the lab's directory if it is
// temporary. On an attached Lab it does nothing. It must not be called twice.
func (l *Lab) Close() error {
	var errs []error
	if l.docker != nil {
		l.docker.stop() // killed, it would leave the control groups of its containers behind
	}
	switch {
	case l.daemon == nil:
	case l.temp:
		l.daemon.kill() // what it has not written yet would be removed anyway
	default:
		l.daemon.stop()
	}
	if l.serving != nil {
		errs = append(errs, l.serving.close())
	}
	if l.temp {
		errs = append(errs, os.RemoveAll(l.dir))
	}
	if l.lock != nil {
		errs = append(errs, l.lock.Unlock())
	}
	return errors.Join(errs...)
}

// Address is buildkitd's address, as in BUILDKIT_HOST: unix:///path.
func (l *Lab) Address() string { return l.address }

// Registry is the host and port of the registry that answers for docker.io and gcr.io, over plain
// HTTP; empty in a Lab that is attached to a buildkitd without one.
func (l *Lab) Registry() string { return l.registry }

// Engine is the address of the Docker Engine, as in DOCKER_HOST: unix:///path. It is empty in a lab without one.
func (l *Lab) Engine() string { return l.engine }

// Root is buildkitd's root directory, or empty if that is not known.
func (l *Lab) Root() string { return l.root }

// Real reports whether the names of the most used images stand for real systems (Options.Real).
func (l *Lab) Real() bool { return l.real }

// CacheDB is the path of buildkitd's solver cache, a bbolt file with the cache key of every step that
// has a result. buildkitd keeps it locked: copy it to open it. It is empty if Root is.
func (l *Lab) CacheDB() string {
	if l.root == "" {
		return ""
	}
	return filepath.Join(l.root, "cache.db")
}

const (
	tempPrefix = "stoker-lab-"
	// sweepAge is how old a lock file must be for sweep to try it. It protects a lab that has made
	// the file and not locked it yet.
	sweepAge = time.Minute
)

// sweep removes the directories below tmp of temporary labs that were killed, which are those with a
// lock that no process holds. The next start tries again what it could not remove.
func sweep(tmp string) {
	dirs, _ := filepath.Glob(filepath.Join(tmp, tempPrefix+"*")) // the pattern is well formed
	for _, dir := range dirs {
		info, err := os.Stat(filepath.Join(dir, lockName))
		if err != nil || time.Since(info.ModTime()) < sweepAge {
			continue
		}
		lock := flock.New(filepath.Join(dir, lockName))
		if ok, err := lock.TryLock(); err != nil || !ok {
			continue
		}
		_ = os.RemoveAll(dir)
		_ = lock.Unlock()
	}
}
