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
	// Dir keeps the lab's state: cache, images, log. Empty means a temporary directory that Close
	// removes. The path must be short, since a socket lies in it (unix(7): 107 bytes).
	Dir string
	// Real replaces stand-ins by Debian systems with the real tools: Debian's own names, and these,
	// such as node:24; AllReal stands for all there are. The first time they are made, in some
	// minutes, by debootstrap and from public package archives.
	Real []string
	// Engine starts a Docker Engine beside buildkitd, with the same registry in place of docker.io. The first
	// time it is compiled, in some minutes.
	Engine bool
	// OldStore has the Engine keep images with a graph driver, as installations from before Docker 29 go on doing.
	OldStore bool
	// Log receives what the lab does; nil discards it. buildkitd's own log is the file
	// buildkitd.log in the lab's directory.
	Log *slog.Logger
}

// Lab is a running buildkitd with its registry, or a connection to another process's (see For).
// Only Start, Attach and For make a usable one.
type Lab struct {
	address  string
	registry string
	root     string
	engine   string
	real     bool

	// What follows is empty in an attached Lab, which owns nothing.
	dir     string
	temp    bool
	lock    *flock.Flock
	serving *registryServer
	daemon  *server
	docker  *server
}

// lockName is the file, locked while a lab runs, that tells a live lab from one that was killed.
const lockName = "lock"

// Start starts a lab and returns when buildkitd accepts connections and every stand-in is in the
// registry. The first start on a machine compiles buildkitd, which takes some minutes; ctx ends
// only the start. The caller must Close the Lab.
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

// claim makes the lab's directory and takes its lock.
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

// Close stops the servers, and removes a temporary directory. On an attached Lab it does nothing. It
// must not be called twice.
func (l *Lab) Close() error {
	var errs []error
	if l.docker != nil {
		l.docker.stop(false) // what has a container leaves a control group behind when it is killed
	}
	if l.daemon != nil {
		// What a temporary lab has not written yet is lost with the directory anyway.
		l.daemon.stop(l.temp)
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

// Root is buildkitd's root directory; empty where it is not known.
func (l *Lab) Root() string { return l.root }

// Real reports whether the names of the most used images stand for real systems (Options.Real).
func (l *Lab) Real() bool { return l.real }

// CacheDB is the path of buildkitd's solver cache, a bbolt file that holds the key of every step
// with a result. buildkitd has it locked: copy it before you open it. Empty where Root is.
func (l *Lab) CacheDB() string {
	if l.root == "" {
		return ""
	}
	return filepath.Join(l.root, "cache.db")
}

const (
	tempPrefix = "stoker-lab-"
	// A lab takes its lock right after it has made its directory; a minute is ages for that.
	sweepAge = time.Minute
)

// sweep removes the temporary labs below tmp whose process was killed: those with a lock that
// nobody holds. What it cannot remove the next start tries again.
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
