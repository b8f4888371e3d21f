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
	// probeWait outlasts the moment for which Holder takes a shared lock, so
	// that a client's question does not turn a daemon away.
	probeWait = 250 * time.Millisecond
	lockPoll  = 10 * time.Millisecond
)

// Info is what the holder of the lock says about itself.
type Info struct {
	PID    int    `json:"pid"`
	Socket string `json:"socket"`
}

// A Lock is held by the one daemon of a user. It ends with its process.
type Lock struct {
	paths Paths
	flock *flock.Flock
}

// Acquire takes the lock, or fails with [ErrRunning] if another process has
// it. It prepares the folders first.
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
		err = os.WriteFile(p.Lock, raw, 0o600) // in place: the lock is on this inode
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("write %s: %w", p.Lock, err), l.Release())
	}
	return l, nil
}

// Release lets the next daemon start. Call it last: whoever waits for it may
// open the store at once. The file stays, since removing it would let two
// processes hold locks on two files of one name.
func (l *Lock) Release() error {
	if err := l.flock.Unlock(); err != nil {
		return fmt.Errorf("release %s: %w", l.paths.Lock, err)
	}
	return nil
}

// Holder reports whether a daemon holds the lock, and what it says of itself;
// a daemon that has only just taken it may not have said anything.
func Holder(p Paths) (Info, bool, error) {
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

// WaitReleased returns once nobody holds the lock.
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

// readInfo reads what the holder wrote; nothing, if it is not all there yet.
func readInfo(p Paths) (info Info) {
	raw, err := os.ReadFile(p.Lock)
	if err != nil || json.Unmarshal(raw, &info) != nil {
		return Info{}
	}
	return info
}
