package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/mod/semver"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/ipc"
)

const (
	// readyWait is longer than a daemon takes to put a deleted socket back.
	readyWait = ipc.GuardInterval + time.Second
	readyPoll = 20 * time.Millisecond
	// answerWait is about a thousand times what the handshake takes.
	answerWait = 3 * time.Second
	// stopWait leaves room for a daemon that ends within its second under load.
	stopWait = 10 * time.Second
	// maxStarts and maxReplaced bound how often ConnectOrStart starts a daemon, and
	// ends one of another build: others may do the same at the same time, and a
	// service manager may go on starting the one that was ended.
	maxStarts   = 3
	maxReplaced = 2
)

// Connect returns a client of the daemon that runs. One that holds the lock
// but does not answer is waited for, as it may be starting. Fails with
// [ErrNoDaemon], or with [ErrOtherVersion] if its requests have another form.
func Connect(ctx context.Context, p ipc.Paths, self api.Version) (*Client, error) {
	c, daemon, err := handshake(ctx, p)
	if err != nil {
		return nil, err
	}
	if daemon.Level != self.Level {
		c.Close()
		return nil, otherVersion(daemon, self, "stoker up replaces it")
	}
	return c, nil
}

// ConnectOrStart returns a client of a daemon of this very build. It starts
// one where none runs, and replaces one of another build: the stoker that the
// user runs now is the one that counts, except that it never replaces a newer
// release ([ErrOtherVersion]).
func ConnectOrStart(ctx context.Context, p ipc.Paths, self api.Version, start ipc.Command) (*Client, error) {
	if err := p.Prepare(); err != nil {
		return nil, err
	}
	var startErr error
	for starts, replaced := 0, 0; ; {
		c, daemon, err := handshake(ctx, p)
		switch {
		case err == nil && daemon.Build == self.Build && daemon.Level == self.Level:
			return c, nil
		case err == nil && replaced == maxReplaced:
			c.Close()
			return nil, otherVersion(daemon, self, "it was replaced and came back: end whatever starts it, such as a service")
		case err == nil:
			replaced++
			if err := replace(ctx, c, p, daemon, self); err != nil {
				return nil, err
			}
		case !errors.Is(err, ErrNoDaemon):
			return nil, err
		case starts == maxStarts || (startErr != nil && !errors.Is(startErr, ipc.ErrRunning)):
			return nil, errors.Join(startErr, err)
		default:
			starts++
			// Of several that start at once one wins; the others' error is
			// forgotten when the handshake finds it.
			startErr = ipc.Spawn(ctx, start)
		}
	}
}

// replace ends the daemon, unless it is of a newer release.
func replace(ctx context.Context, c *Client, p ipc.Paths, daemon, self api.Version) error {
	defer c.Close()
	if semver.Compare(daemon.Version, self.Version) > 0 && semver.IsValid(self.Version) {
		return otherVersion(daemon, self, "upgrade this stoker, or end the daemon with its own: stoker down --all")
	}
	ctx, cancel := context.WithTimeout(ctx, stopWait)
	defer cancel()
	if err := c.Stop(ctx); err != nil && !errors.Is(err, ErrNoDaemon) {
		return fmt.Errorf("end the daemon of another version (pid %d): %w", daemon.PID, err)
	}
	return ipc.WaitReleased(ctx, p)
}

// handshake connects and asks the daemon which stoker it is.
func handshake(ctx context.Context, p ipc.Paths) (*Client, api.Version, error) {
	c := &Client{Dial: func(ctx context.Context) (net.Conn, error) { return ipc.Dial(ctx, p) }}
	patience := time.NewTimer(readyWait)
	defer patience.Stop()
	for {
		daemon, err := ask(ctx, c)
		switch {
		case err == nil:
			return c, daemon, nil
		case !errors.Is(err, ipc.ErrNotReady):
			c.Close()
			return nil, daemon, err
		}
		select {
		case <-ctx.Done():
			return nil, daemon, ctx.Err()
		case <-patience.C:
			return nil, daemon, err
		case <-time.After(readyPoll):
		}
	}
}

// ask asks the daemon for its version, and does not wait for ever for one that hangs.
func ask(ctx context.Context, c *Client) (api.Version, error) {
	bounded, cancel := context.WithTimeout(ctx, answerWait)
	defer cancel()
	daemon, err := c.Version(bounded)
	if err != nil && ctx.Err() == nil && bounded.Err() != nil {
		return daemon, fmt.Errorf("%w: %w", &api.Error{
			Code: api.NoDaemon, Message: "the daemon accepts connections and does not answer",
			Hint: "kill it and run stoker up; its log is in the state folder",
		}, err)
	}
	return daemon, err
}
