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
	// readyWait is how long to wait for a daemon that is not ready: longer than it
	// takes to restore a deleted socket.
	readyWait = ipc.GuardInterval + time.Second
	readyPoll = 20 * time.Millisecond
	// answerWait bounds the handshake, which takes about a thousandth of it.
	answerWait = 3 * time.Second
	// stopWait bounds the end of a daemon, which takes a second at most, or more on a
	// machine under load.
	stopWait = 10 * time.Second
	// maxStarts and maxReplaced bound how often ConnectOrStart starts a daemon, and
	// ends one of another build. Other processes may be doing the same, and a service
	// manager may restart the daemon that was ended.
	maxStarts   = 3
	maxReplaced = 2
)

// Connect returns a client of the daemon that runs. If a daemon holds the lock but does
// not answer, Connect waits, since it may be starting. The error wraps [ErrNoDaemon] if
// none runs, and [ErrOtherVersion] if its level differs from that of self.
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

// ConnectOrStart returns a client of a daemon of the same build as self. It starts one
// if none runs, and replaces one of another build, on the grounds that the user wants
// the stoker that they are running. It does not replace a newer release: the error
// then wraps [ErrOtherVersion].
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
			// If several processes start a daemon at once, one succeeds, and the
			// handshakes of the others find it. Their errors do not matter then.
			startErr = ipc.Spawn(ctx, start)
		}
	}
}

// replace ends the daemon, and returns once it has ended. If it is of a newer release,
// the error wraps [ErrOtherVersion]. replace closes c.
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

// handshake connects to the daemon and returns its version. It waits for a daemon that is
// not ready.
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

// ask returns the version of the daemon, or an error if that does not answer in time.
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
