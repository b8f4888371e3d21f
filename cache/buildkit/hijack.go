package buildkit

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"time"
)

// A hijacker connects to the BuildKit in a Docker Engine, by HTTP requests after which the
// Engine turns the connection over to it. Engines before 29 can be reached in no other way.
type hijacker struct {
	dial func(context.Context) (net.Conn, error) // connects to the Engine
}

// session opens a connection for the session of a build.
func (h hijacker) session(ctx context.Context, proto string, meta map[string][]string) (net.Conn, error) {
	header := http.Header{}
	for k, vs := range meta {
		for _, v := range vs {
			header.Add(k, v)
		}
	}
	return h.request(ctx, "/session", proto, header)
}

// upgrade opens a connection that speaks BuildKit's API.
func (h hijacker) upgrade(ctx context.Context) (net.Conn, error) {
	return h.request(ctx, "/grpc", "h2c", nil)
}

// request opens a connection that speaks proto after a request for path.
func (h hijacker) request(ctx context.Context, path, proto string, header http.Header) (net.Conn, error) {
	conn, err := h.dial(ctx)
	if err != nil {
		return nil, err
	}
	upgraded, err := h.shakeHands(ctx, conn, path, proto, header)
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("open %s of the Docker Engine: %w", path, err)
	}
	return upgraded, nil
}

// shakeHands makes the request over conn, and returns the connection to go on with.
func (h hijacker) shakeHands(ctx context.Context, conn net.Conn, path, proto string, header http.Header) (net.Conn, error) {
	// A socket needs no host, but HTTP/1.1 does.
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://docker"+path, nil)
	if err != nil {
		return nil, err
	}
	for k, v := range header {
		req.Header[k] = v
	}
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", proto)
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return nil, err
		}
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := req.Write(conn); err != nil {
		return nil, err
	}
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		resp.Body.Close()
		return nil, fmt.Errorf("it answers %s: a proxy may forbid it, or the engine is older than 18.09", resp.Status)
	}
	if !stop() {
		return nil, context.Cause(ctx)
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return nil, err
	}
	return &bufferedConn{Conn: conn, r: r}, nil
}

// A bufferedConn is a connection of which r has read ahead.
type bufferedConn struct {
	net.Conn
	r *bufio.Reader
}

// Read implements [net.Conn].
func (c *bufferedConn) Read(p []byte) (int, error) { return c.r.Read(p) }
