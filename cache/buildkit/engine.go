package buildkit

import (
	"context"
	"fmt"
	"net"
	"strings"
)

// Engine returns a function that opens a connection to the API of the user's Docker
// Engine: the one that the docker command talks to or, if the user chose none, the first
// that answers at its default socket or a well-known one. The error says why the one that
// was chosen cannot be dialled.
func (e Env) Engine() (func(context.Context) (net.Conn, error), error) {
	p := e.dockerPlace()
	if p.problem != "" {
		return nil, fmt.Errorf("%s: %s", p.name, p.problem)
	}
	if e.Getenv("DOCKER_HOST") != "" || e.dockerContext() != "default" {
		return p.nodes[0].engineDialer()
	}
	candidates := p.nodes
	for _, known := range e.wellKnown() {
		for _, c := range known.nodes {
			if c.kind == "docker" {
				candidates = append(candidates, c)
			}
		}
	}
	return func(ctx context.Context) (net.Conn, error) { return dialFirst(ctx, candidates) }, nil
}

// dialFirst connects to the first Engine that accepts a connection. If none does, it
// returns the error of the first.
func dialFirst(ctx context.Context, candidates []candidate) (net.Conn, error) {
	var first error
	for _, c := range candidates {
		dial, err := c.engineDialer()
		if err == nil {
			var conn net.Conn
			if conn, err = dial(ctx); err == nil {
				return conn, nil
			}
		}
		if first == nil {
			first = fmt.Errorf("%s: %w", strings.TrimPrefix(c.address, "unix://"), err)
		}
	}
	return nil, first
}
