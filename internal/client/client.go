// Package client talks to the daemon. A [Client] has one method per request of
// internal/server, with the structs of internal/api.
//
// [Connect] connects to the daemon that runs. [ConnectOrStart] starts one if needed,
// and replaces one of another version. Errors that the user can do something about
// are an *api.Error. If no daemon runs they also wrap [ErrNoDaemon], in which case
// commands that only read compute the answer themselves.
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
	// ErrNoDaemon means that no daemon runs. Test with errors.Is.
	ErrNoDaemon = ipc.ErrNoDaemon
	// ErrOtherVersion means that a daemon runs that this client cannot talk to, or
	// must not replace.
	ErrOtherVersion = errors.New("the stoker daemon is of another version")
)

// A Client sends requests to the daemon. The zero value is ready to use, and talks to
// the daemon of this user. It is safe for concurrent use.
type Client struct {
	// Dial connects to the daemon; nil connects to that of this user. It must not be
	// changed after the first request.
	Dial func(context.Context) (net.Conn, error)

	once sync.Once // sets http
	http *http.Client
}

// Status returns the status of everything that the daemon watches.
func (c *Client) Status(ctx context.Context) (s api.Status, err error) {
	return s, c.call(ctx, http.MethodGet, "status", nil, &s)
}

// StatusJSON returns the status in the JSON that the daemon sent, for callers that only
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

// Watch calls f with the current status, and again whenever it changes. It returns f's
// error if f fails, ctx's error if ctx ends, and an *api.Error if the daemon ends.
func (c *Client) Watch(ctx context.Context, f func(api.Status) error) error {
	return stream(ctx, c, http.MethodGet, "watch", nil, f)
}

// Up makes the daemon watch a repository, and returns the status once that has been
// looked at.
func (c *Client) Up(ctx context.Context, req api.UpRequest) (s api.Status, err error) {
	return s, c.call(ctx, http.MethodPost, "up", req, &s)
}

// Down makes the daemon stop watching a repository, or end.
func (c *Client) Down(ctx context.Context, req api.DownRequest) (d api.Done, err error) {
	return d, c.call(ctx, http.MethodPost, "down", req, &d)
}

// Allow gives or withdraws the consent to run a repository's steps.
func (c *Client) Allow(ctx context.Context, req api.AllowRequest) (d api.Done, err error) {
	return d, c.call(ctx, http.MethodPost, "allow", req, &d)
}

// Check compares sizes with budgets, and returns the findings.
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

// ContextExplain returns which lines of ignore files decide about paths.
func (c *Client) ContextExplain(ctx context.Context, req api.ContextExplainRequest) (a api.ContextExplain, err error) {
	return a, c.call(ctx, http.MethodPost, "context/explain", req, &a)
}

// ContextTree returns the sizes of the folders in a definition's context.
func (c *Client) ContextTree(ctx context.Context, req api.ContextTreeRequest) (a api.ContextTree, err error) {
	return a, c.call(ctx, http.MethodPost, "context/tree", req, &a)
}

// Predict returns which steps the next builds will execute.
func (c *Client) Predict(ctx context.Context, req api.PredictRequest) (a api.Predict, err error) {
	return a, c.call(ctx, http.MethodPost, "predict", req, &a)
}

// Replay returns what a definition's Dockerfile would have cost over the last commits.
func (c *Client) Replay(ctx context.Context, req api.ReplayRequest) (a api.Replay, err error) {
	return a, c.call(ctx, http.MethodPost, "replay", req, &a)
}

// Prune removes the records that req names, and returns what the builder keeps.
func (c *Client) Prune(ctx context.Context, req api.PruneRequest) (a api.Prune, err error) {
	return a, c.call(ctx, http.MethodPost, "prune", req, &a)
}

// Stats returns hit rates, and the time that was saved and lost.
func (c *Client) Stats(ctx context.Context, req api.StatsRequest) (a api.Stats, err error) {
	return a, c.call(ctx, http.MethodPost, "stats", req, &a)
}

// Suggest returns suggestions for Dockerfiles.
func (c *Client) Suggest(ctx context.Context, req api.SuggestRequest) (a api.Suggest, err error) {
	return a, c.call(ctx, http.MethodPost, "suggest", req, &a)
}

// Verify builds Dockerfiles as they are and as suggested and compares the images. It
// calls progress as things happen. If ctx ends, the builds are cancelled.
func (c *Client) Verify(ctx context.Context, req api.VerifyRequest, progress func(api.VerifyEvent)) error {
	return stream(ctx, c, http.MethodPost, "verify", req, func(e api.VerifyEvent) error {
		progress(e)
		return nil
	})
}

// Warm warms the cache now, and calls progress as things happen. If ctx ends, the builds
// are cancelled.
func (c *Client) Warm(ctx context.Context, req api.WarmRequest, progress func(api.WarmEvent)) error {
	return stream(ctx, c, http.MethodPost, "warm", req, func(e api.WarmEvent) error {
		progress(e)
		return nil
	})
}

// Why returns why the steps of a finished build ran.
func (c *Client) Why(ctx context.Context, req api.WhyRequest) (a api.Why, err error) {
	return a, c.call(ctx, http.MethodPost, "why", req, &a)
}

// Version returns the version of the daemon.
func (c *Client) Version(ctx context.Context) (v api.Version, err error) {
	return v, c.call(ctx, http.MethodGet, "version", nil, &v)
}

// Stop asks the daemon to end, and does not wait for that: see ipc.WaitReleased.
func (c *Client) Stop(ctx context.Context) error {
	var d api.Done
	return c.call(ctx, http.MethodPost, "stop", struct{}{}, &d)
}

// Close closes idle connections. The Client can still be used.
func (c *Client) Close() { c.client().CloseIdleConnections() }

// client returns the HTTP client, which the first call makes.
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

// call sends a request, with req as its body unless nil, and decodes the answer.
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

// send sends a request and returns the response if its status is OK. The caller closes
// the body. If the daemon answered with an error, that is returned, as an *api.Error.
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

// stream sends a request, and calls f with each event of the answer until the last
// frame, or until f fails.
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
