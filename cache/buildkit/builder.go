package buildkit

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/containerd/platforms"
	"github.com/moby/buildkit/client"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// probeTimeout bounds how long one address may take to answer. Connecting
// through ssh or `docker exec` takes about a second.
const probeTimeout = 5 * time.Second

// Info describes a builder.
type Info struct {
	// Name is how users know it: the docker context, the name of the buildx
	// builder (with its node, if it has several), or the address.
	Name string
	Kind string // docker, docker-container, remote, kubernetes, buildkit
	// Address is what was dialled, without credentials.
	Address string
	Version string // of BuildKit; "" if it is too old to say
	// Workers are the ids of its workers, the default one first: a cache
	// belongs to a builder and a worker.
	Workers []string
	// Platforms are those of the default worker, as in "linux/amd64".
	Platforms []string
	// History reports whether it remembers builds: see [ErrNoHistory].
	History bool
}

// A Builder is a connected BuildKit. Its methods are safe for concurrent use.
type Builder struct {
	info   Info
	client *client.Client
	buildx buildxState
	auth   string // the docker configuration's directory
	// engine connects to the API of the Docker Engine that the builder is in; nil if it
	// is in none.
	engine func(context.Context) (net.Conn, error)
}

// Info describes the builder as it was when it connected.
func (b *Builder) Info() Info { return b.info }

// platform returns what the default worker builds for; "" if it does not say.
func (b *Builder) platform() string {
	if len(b.info.Platforms) == 0 {
		return ""
	}
	return b.info.Platforms[0]
}

// Close ends the connection and all calls in flight.
func (b *Builder) Close() error { return b.client.Close() }

// Connect connects to the BuildKit at address: unix://, tcp://, ssh://,
// docker-container:// or kube-pod://. It fails if none answers there.
func Connect(ctx context.Context, env Env, address string) (*Builder, error) {
	return connect(ctx, env, candidate{name: address, kind: "buildkit", address: address})
}

func connect(ctx context.Context, env Env, c candidate) (*Builder, error) {
	cl, err := c.dial(ctx)
	if err != nil {
		return nil, err
	}
	b := &Builder{
		info:   Info{Name: c.name, Kind: c.kind, Address: redactAddress(c.address)},
		client: cl,
		buildx: buildxState{dir: env.buildxDir()},
		auth:   env.dockerDir(),
	}
	if c.kind == "docker" {
		if b.engine, err = c.engineDialer(); err != nil {
			cl.Close()
			return nil, err
		}
	}
	if err := b.probe(ctx); err != nil {
		cl.Close()
		return nil, err
	}
	return b, nil
}

// probe asks the builder who it is. Control.Info is younger than the history
// (v0.11); a builder without it still lists its workers.
func (b *Builder) probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	info, err := b.client.Info(ctx)
	switch {
	case err == nil:
		b.info.Version = info.BuildkitVersion.Version
	case status.Code(rootOf(err)) != codes.Unimplemented:
		return err
	}
	if b.info.History, err = b.remembers(ctx); err != nil {
		return err
	}
	workers, err := b.client.ListWorkers(ctx)
	if err != nil {
		return fmt.Errorf("list workers: %w", err)
	}
	for i, w := range workers {
		b.info.Workers = append(b.info.Workers, w.ID)
		if i > 0 {
			continue
		}
		if b.info.Version == "" {
			b.info.Version = w.BuildkitVersion.Version
		}
		for _, p := range w.Platforms {
			b.info.Platforms = append(b.info.Platforms, platforms.Format(p))
		}
	}
	return nil
}
