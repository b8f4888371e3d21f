// Package client talks to the daemon: one method a request of
// internal/server, with the structs of internal/api.
//
// [Connect] finds the daemon that runs, [ConnectOrStart] starts or replaces it
// first. Every error that says what the user can do is an *api.Error; those of
// a missing daemon are also [ErrNoDaemon], at which read commands compute on
// the spot instead.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/ipc"
)

var (
	// ErrNoDaemon: no daemon runs. Test with errors.Is.
	ErrNoDaemon = ipc.ErrNoDaemon
	// ErrOtherVersion: a daemon runs that this client cannot talk to, or must
	// not replace.
	ErrOtherVersion = errors.New("the stoker daemon is of another version")
)

// A Client sends requests to the daemon. Its zero value is ready, and talks to
// the daemon of this user. It is safe for concurrent use.
type Client struct {
	// Dial connects to the daemon; nil for the user's own.
	Dial func(context.Context) (net.Conn, error)

	once sync.Once // sets http
	http *http.Client
}

// Status returns what the daemon holds ready.
func (c *Client) Status(ctx context.Context) (s api.Status, err error) {
	return s, c.call(ctx, http.MethodGet, "status", nil, &s)
}

// StatusJSON returns the status as the daemon's own bytes, for those who only
// print it.
func (c *Client) StatusJSON(ctx context.Context) ([]byte, error) {
	resp, err := c.send(ctx, http.MethodGet, "status", nil)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	return raw, cutOff(err)
}

// Watch calls f with the status, now and whenever it changes, until f fails,
// ctx ends or the daemon does.
func (c *Client) Watch(ctx context.Context, f func(api.Status) error) error {
	return stream(ctx, c, http.MethodGet, "watch", nil, f)
}

// Up has a repository watched and returns the status with its first picture.
func (c *Client) Up(ctx context.Context, req api.UpRequest) (s api.Status, err error) {
	return s, c.call(ctx, http.MethodPost, "up", req, &s)
}

// Down has a repository no longer watched, or the daemon ended.
func (c *Client) Down(ctx context.Context, req api.DownRequest) (d api.Done, err error) {
	return d, c.call(ctx, http.MethodPost, "down", req, &d)
}

// Allow gives or takes back the consent to run a repository's steps.
func (c *Client) Allow(ctx context.Context, req api.AllowRequest) (d api.Done, err error) {
	return d, c.call(ctx, http.MethodPost, "allow", req, &d)
}

// Check returns sizes against budgets, and findings.
func (c *Client) Check(ctx context.Context, req api.CheckRequest) (a api.Check, err error) {
	return a, c.call(ctx, http.MethodPost, "check", req, &a)
}

// Context returns a definition's effective context.
func (c *Client) Context(ctx context.Context, req api.ContextRequest) (a api.Context, err error) {
	return a, c.call(ctx, http.MethodPost, "context", req, &a)
}

// ContextDiff returns how contexts differ from a commit.
func (c *Client) ContextDiff(ctx context.Context, req api.ContextDiffRequest) (a api.ContextDiff, err error) {
	return a, c.call(ctx, http.MethodPost, "context/diff", req, &a)
}

// ContextExplain returns what decides about paths.
func (c *Client) ContextExplain(ctx context.Context, req api.ContextExplainRequest) (a api.ContextExplain, err error) {
	return a, c.call(ctx, http.MethodPost, "context/explain", req, &a)
}

// ContextTree returns the sizes of a definition's folders.
func (c *Client) ContextTree(ctx context.Context, req api.ContextTreeRequest) (a api.ContextTree, err error) {
	return a, c.call(ctx, http.MethodPost, "context/tree", req, &a)
}

// Predict says what the next builds will execute.
func (c *Client) Predict(ctx context.Context, req api.PredictRequest) (a api.Predict, err error) {
	return a, c.call(ctx, http.MethodPost, "predict", req, &a)
}

// Replay replays the history against a definition's Dockerfile.
func (c *Client) Replay(ctx context.Context, req api.ReplayRequest) (a api.Replay, err error) {
	return a, c.call(ctx, http.MethodPost, "replay", req, &a)
}

// Prune returns what the builder keeps, and removes what req names.
func (c *Client) Prune(ctx context.Context, req api.PruneRequest) (a api.Prune, err error) {
	return a, c.call(ctx, http.MethodPost, "prune", req, &a)
}

// Stats returns what the cache did.
func (c *Client) Stats(ctx context.Context, req api.StatsRequest) (a api.Stats, err error) {
	return a, c.call(ctx, http.MethodPost, "stats", req, &a)
}

// Suggest returns suggestions.
func (c *Client) Suggest(ctx context.Context, req api.SuggestRequest) (a api.Suggest, err error) {
	return a, c.call(ctx, http.MethodPost, "suggest", req, &a)
}

// Verify builds and compares, and calls progress as things happen. Ending ctx ends
// it.
func (c *Client) Verify(ctx context.Context, req api.VerifyRequest, progress func(api.VerifyEvent)) error {
	return stream(ctx, c, http.MethodPost, "verify", req, func(e api.VerifyEvent) error {
		progress(e)
		return nil
	})
}

// Warm warms now, and calls progress as things happen. Ending ctx ends it.
func (c *Client) Warm(ctx context.Context, req api.WarmRequest, progress func(api.WarmEvent)) error {
	return stream(ctx, c, http.MethodPost, "warm", req, func(e api.WarmEvent) error {
		progress(e)
		return nil
	})
}

// Why says what made the steps of a finished build run.
func (c *Client) Why(ctx context.Context, req api.WhyRequest) (a api.Why, err error) {
	return a, c.call(ctx, http.MethodPost, "why", req, &a)
}

// Version says which stoker the daemon is.
func (c *Client) Version(ctx context.Context) (v api.Version, err error) {
	return v, c.call(ctx, http.MethodGet, "version", nil, &v)
}

// Stop asks the daemon to end. It has ended when nobody holds the lock
// (ipc.WaitReleased).
func (c *Client) Stop(ctx context.Context) error {
	var d api.Done
	return c.call(ctx, http.MethodPost, "stop", struct{}{}, &d)
}

// Close ends idle connections.
func (c *Client) Close() { c.client().CloseIdleConnections() }

func (c *Client) client() *http.Client {
	c.once.Do(func() {
		dial := c.Dial
		if dial == nil {
			dial = dialOwn
		}
		c.http = &http.Client{Transport: &http.Transport{
			DialContext:        func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
			DisableCompression: true, // the bytes do not leave the machine
		}}
	})
	return c.http
}

// dialOwn connects to the daemon of this user.
func dialOwn(ctx context.Context) (net.Conn, error) {
	paths, err := ipc.Locate(os.Getenv)
	if err != nil {
		return nil, err
	}
	return ipc.Dial(ctx, paths)
}

// call sends a request and decodes the answer.
func (c *Client) call(ctx context.Context, method, path string, req, answer any) error {
	resp, err := c.send(ctx, method, path, req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(answer); err != nil {
		return cutOff(err)
	}
	return nil
}

// send returns the response to a request that the daemon carried out.
func (c *Client) send(ctx context.Context, method, path string, body any) (*http.Response, error) {
	var raw io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("encode the request: %w", err)
		}
		raw = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+api.Host+"/v1/"+path, raw)
	if err != nil {
		return nil, fmt.Errorf("make the request: %w", err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.client().Do(req)
	if err != nil {
		return nil, unreachable(ctx, err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	var e api.Error
	if err := json.NewDecoder(resp.Body).Decode(&e); err != nil || e.Code == "" {
		return nil, &api.Error{Code: api.Internal, Message: "the daemon answered " + resp.Status}
	}
	return nil, &e
}

// stream sends a request and calls f with each event of the answer.
func stream[T any](ctx context.Context, c *Client, method, path string, req any, f func(T) error) error {
	resp, err := c.send(ctx, method, path, req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	for d := json.NewDecoder(resp.Body); ; {
		var frame api.Frame[T]
		switch err := d.Decode(&frame); {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return cutOff(err)
		case frame.Error != nil:
			return frame.Error
		case frame.Done:
			return nil
		case frame.Event != nil:
			if err := f(*frame.Event); err != nil {
				return err
			}
		}
	}
}
