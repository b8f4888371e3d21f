package ipc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/gofrs/flock"
)

const (
	// probeWait is how long Acquire tries. It is longer than the moment for which
	// Holder takes a shared lock, so that a client that asks does not keep a daemon
	// from starting.
	probeWait = 250 * time.Millisecond
	lockPoll  = 10 * time.Millisecond
)

// Info is what the holder of the lock says about itself.
type Info struct {
	PID    int    `json:"pid"`
	Socket string `json:"socket"`
}

// A Lock is held by the only daemon of a user. It is released when the process ends,
// if not before.
type Lock struct {
	paths Paths
	flock *flock.Flock
}

// Acquire creates the folders if needed (see [Paths.Prepare]) and takes the lock. The
// error wraps [ErrRunning] if another process holds it.
func Acquire(ctx context.Context, p Paths) (*Lock, error) {
	if err := p.Prepare(); err != nil {
		return nil, err
	}
	l := &Lock{paths: p, flock: flock.New(p.Lock, flock.SetPermissions(0o600))}
	wait, cancel := context.WithTimeout(ctx, probeWait)
	defer cancel()
	switch ok, err := l.flock.TryLockContext(wait, lockPoll); {
	case ok:
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err == nil || errors.Is(err, context.DeadlineExceeded):
		return nil, fmt.Errorf("%w (pid %d)", ErrRunning, readInfo(p).PID)
	default:
		return nil, fmt.Errorf("lock %s: %w", p.Lock, err)
	}
	raw, err := json.Marshal(Info{PID: os.Getpid(), Socket: p.Socket})
	if err == nil {
		err = os.WriteFile(p.Lock, raw, 0o600) // not by a rename: the lock is on this inode
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("write %s: %w", p.Lock, err), l.Release())
	}
	return l, nil
}

// Release releases the lock, so that the next daemon can start. It must be the last
// thing that a daemon does, since the next one may open the store at once. The file is
// not removed: two processes could then hold locks on two files of the same name.
func (l *Lock) Release() error {
	if err := l.flock.Unlock(); err != nil {
		return fmt.Errorf("release %s: %w", l.paths.Lock, err)
	}
	return nil
}

// Holder reports whether a daemon holds the lock, and returns what that says about
// itself. Right after the daemon has taken the lock, the Info is zero.
func Holder(p Paths) (info Info, held bool, err error) {
	if _, err := os.Stat(p.Lock); errors.Is(err, fs.ErrNotExist) {
		return Info{}, false, nil
	}
	probe := flock.New(p.Lock)
	free, err := probe.TryRLock()
	if err != nil {
		return Info{}, false, fmt.Errorf("look at %s: %w", p.Lock, err)
	}
	if free {
		return Info{}, false, probe.Unlock()
	}
	return readInfo(p), true, probe.Close()
}

// WaitReleased returns once no process holds the lock, or with an error that wraps
// ctx's.
func WaitReleased(ctx context.Context, p Paths) error {
	for {
		_, held, err := Holder(p)
		if err != nil || !held {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the daemon to end: %w", ctx.Err())
		case <-time.After(lockPoll):
		}
	}
}

// readInfo reads what the holder of the lock wrote. It returns the zero Info if that is
// missing or incomplete.
func readInfo(p Paths) (info Info) {
	raw, err := os.ReadFile(p.Lock)
	if err != nil || json.Unmarshal(raw, &info) != nil {
		return Info{}
	}
	return info
}
