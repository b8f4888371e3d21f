package buildkit

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"strings"
	"syscall"

	"github.com/docker/cli/cli/connhelper"
	"github.com/docker/cli/cli/connhelper/commandconn"
	"github.com/moby/buildkit/client"
	_ "github.com/moby/buildkit/client/connhelper/dockercontainer" // docker-container://
	_ "github.com/moby/buildkit/client/connhelper/kubepod"         // kube-pod://
	_ "github.com/moby/buildkit/client/connhelper/npipe"           // npipe://
	_ "github.com/moby/buildkit/client/connhelper/ssh"             // ssh://
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A candidate is one address at which a builder may answer.
type candidate struct {
	name    string // as Info.Name
	kind    string // as Info.Kind
	address string
	// dockerHost is the address of the Docker Engine that runs the container of a
	// docker-container:// address; "" if the address names a docker context or the
	// current one is meant.
	dockerHost string
	tls        tlsFiles
}

// A tlsFiles has paths of PEM files, and the name that the server's certificate must be
// for; each may be "".
type tlsFiles struct{ ca, cert, key, serverName string }

// id is the same for candidates with the same address.
func (c candidate) id() string { return c.address + " " + c.dockerHost }

// place names the candidate to the user, as a node if p has several.
func (c candidate) place(p place) string {
	if strings.Contains(c.name, "/") && !strings.Contains(c.name, "://") || len(p.nodes) > 1 {
		return p.name + " node " + c.name
	}
	return p.name
}

// addressCandidate returns the candidate at an address that the user wrote, or an error if
// it is none. http:// and https:// are taken for tcp://, as in DOCKER_HOST.
func addressCandidate(name, address, kind string) (candidate, error) {
	scheme, rest, ok := strings.Cut(address, "://")
	if !ok || rest == "" {
		return candidate{}, fmt.Errorf("builder %q is no address: want docker, buildx:NAME, or unix://, tcp://, ssh://, docker-container:// or kube-pod:// and what follows", redactAddress(address))
	}
	switch scheme {
	case "unix", "tcp", "ssh", "docker-container", "kube-pod", "npipe":
	case "http", "https":
		address = "tcp://" + rest
	default:
		return candidate{}, fmt.Errorf("builder %q: unknown scheme %s://", redactAddress(address), scheme)
	}
	return candidate{name: redactAddress(name), kind: kind, address: address}, nil
}

// dial returns a client for the candidate. That something answers is certain for an Engine
// only; for others the first call shows it.
func (c candidate) dial(ctx context.Context) (*client.Client, error) {
	switch {
	case strings.HasPrefix(c.address, buildxScheme):
		name, err := url.PathUnescape(strings.TrimPrefix(c.address, buildxScheme))
		if err != nil {
			return nil, err
		}
		return dialCommand(ctx, "docker", "buildx", "dial-stdio", "--builder", name)
	case c.dockerHost != "":
		container := strings.TrimPrefix(c.address, "docker-container://")
		return dialCommand(ctx, "docker", "--host", c.dockerHost, "exec", "-i", container, "buildctl", "dial-stdio")
	case c.kind == "docker":
		return c.dialEngine(ctx)
	}
	var opts []client.ClientOpt
	if c.tls.ca != "" || c.tls.serverName != "" {
		opts = append(opts, client.WithServerConfig(c.tls.serverName, c.tls.ca))
	}
	if c.tls.cert != "" {
		opts = append(opts, client.WithCredentials(c.tls.cert, c.tls.key))
	}
	return client.New(ctx, c.address, opts...)
}

// dialCommand returns a client that reaches the builder through a command's standard input
// and output.
func dialCommand(ctx context.Context, name string, args ...string) (*client.Client, error) {
	return client.New(ctx, "", client.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
		// The connection outlives ctx, which ends with the dial, and so must the command.
		return commandconn.New(context.WithoutCancel(ctx), name, args...)
	}))
}

// dialEngine connects to the BuildKit in a Docker Engine. From Docker 29 on, an Engine
// serves BuildKit's API on its socket. Older ones are asked over HTTP to turn a connection
// over to it, which newer ones will stop offering (Engine API 1.53).
func (c candidate) dialEngine(ctx context.Context) (*client.Client, error) {
	raw, err := c.engineDialer()
	if err != nil {
		return nil, err
	}
	probe, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	if c.tls == (tlsFiles{}) {
		native, err := client.New(ctx, "", client.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return raw(ctx)
		}))
		if err != nil {
			return nil, err
		}
		if _, err = native.Info(probe); err == nil {
			return native, nil
		}
		native.Close()
	}
	h := hijacker{dial: raw}
	// What is wrong is told most plainly by an attempt without gRPC in between.
	conn, err := h.upgrade(probe)
	if err != nil {
		return nil, err
	}
	conn.Close()
	return client.New(ctx, "",
		client.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return h.upgrade(ctx) }),
		client.WithSessionDialer(h.session))
}

// engineDialer returns a function that opens a connection to the Docker Engine at the
// candidate's address.
func (c candidate) engineDialer() (func(context.Context) (net.Conn, error), error) {
	scheme, rest, _ := strings.Cut(c.address, "://")
	var d net.Dialer
	switch scheme {
	case "unix":
		return func(ctx context.Context) (net.Conn, error) { return d.DialContext(ctx, "unix", rest) }, nil
	case "tcp":
		if c.tls != (tlsFiles{}) {
			return c.tlsDialer(rest)
		}
		return func(ctx context.Context) (net.Conn, error) { return d.DialContext(ctx, "tcp", rest) }, nil
	case "ssh":
		helper, err := connhelper.GetConnectionHelper(c.address)
		if err != nil {
			return nil, err
		}
		return func(ctx context.Context) (net.Conn, error) {
			return helper.Dialer(context.WithoutCancel(ctx), "", "")
		}, nil
	case "npipe":
		return dialPipe(rest)
	}
	return nil, fmt.Errorf("no way to a Docker Engine over %s://", scheme)
}

// tlsDialer is engineDialer for a host with TLS. Without a CA in the candidate's files the
// system's are trusted; without a certificate the client presents none.
func (c candidate) tlsDialer(host string) (func(context.Context) (net.Conn, error), error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.tls.serverName}
	switch pem, err := os.ReadFile(c.tls.ca); {
	case err == nil:
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, errors.New("its ca.pem holds no certificate")
		}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("read its ca.pem: %w", err)
	}
	if _, err := os.Stat(c.tls.cert); err == nil {
		pair, err := tls.LoadX509KeyPair(c.tls.cert, c.tls.key)
		if err != nil {
			return nil, fmt.Errorf("read its certificate: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	d := tls.Dialer{Config: config}
	return func(ctx context.Context) (net.Conn, error) { return d.DialContext(ctx, "tcp", host) }, nil
}

// reason says in a few words why a builder did not answer.
func reason(err error) string {
	switch {
	case isAbsent(err):
		return "nothing is there"
	case errors.Is(err, syscall.ECONNREFUSED) || strings.Contains(err.Error(), "connection refused"):
		return "connection refused"
	case errors.Is(err, fs.ErrPermission) || strings.Contains(err.Error(), "permission denied"):
		return "permission denied"
	case errors.Is(err, context.DeadlineExceeded) || status.Code(rootOf(err)) == codes.DeadlineExceeded:
		return "no answer within " + probeTimeout.String()
	}
	text, _, _ := strings.Cut(err.Error(), "\n")
	const enough = 120
	if len(text) > enough {
		text = text[:enough] + "…"
	}
	return text
}

// isAbsent reports whether err says that there is no socket at the address.
func isAbsent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || strings.Contains(err.Error(), "no such file or directory")
}

// redactAddress returns address without the password that it may hold.
func redactAddress(address string) string {
	if u, err := url.Parse(address); err == nil && u.User != nil {
		u.User = url.User(u.User.Username())
		return u.String()
	}
	return address
}
