package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// registryServer is a registry on a port of 127.0.0.1. It keeps blobs on disk, and manifests, which
// are small, in memory.
type registryServer struct {
	addr   string // host:port
	server *http.Server
	served sync.WaitGroup // one goroutine per listener
}

// serveRegistry starts a registry that keeps its blobs in dir. The caller must close it.
func serveRegistry(ctx context.Context, dir string) (*registryServer, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the registry's directory: %w", err)
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start the registry: %w", err)
	}
	handler := registry.New(registry.Logger(log.New(io.Discard, "", 0)),
		registry.WithBlobHandler(registry.NewDiskBlobHandler(dir)))
	r := &registryServer{
		addr:   listener.Addr().String(),
		server: &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second},
	}
	r.serve(listener)
	return r, nil
}

// serve answers requests at listener in a goroutine that close ends.
func (r *registryServer) serve(listener net.Listener) {
	r.served.Go(func() { _ = r.server.Serve(listener) }) // returns http.ErrServerClosed
}

// close closes all listeners and connections, and waits for the goroutines of serve.
func (r *registryServer) close() error {
	err := r.server.Close()
	r.served.Wait()
	return err
}

// Push puts an image under a name as in FROM ("node:20", "gcr.io/distroless/static-debian12") and
// returns its digest. Pushing another image under the same name moves the tag.
func (l *Lab) Push(ctx context.Context, ref string, img v1.Image) (string, error) {
	if l.registry == "" {
		return "", errors.New("push " + ref + ": this lab has no registry: set " + EnvRegistry + " as `labctl up` prints it")
	}
	to, err := l.reference(ref)
	if err != nil {
		return "", fmt.Errorf("push %s: %w", ref, err)
	}
	if err := remote.Write(to, img, remote.WithContext(ctx)); err != nil {
		return "", fmt.Errorf("push %s: %w", ref, err)
	}
	digest, err := img.Digest()
	return digest.String(), err
}

// reference maps a name as in FROM to the lab's registry, which serves every mirrored host's
// repositories under one root, as registry mirrors do.
func (l *Lab) reference(ref string) (name.Reference, error) {
	from, err := name.ParseReference(ref)
	if err != nil {
		return nil, err
	}
	repo := from.Context().RepositoryStr()
	separator := ":"
	if strings.HasPrefix(from.Identifier(), "sha256:") {
		separator = "@"
	}
	return name.ParseReference(l.registry+"/"+repo+separator+from.Identifier(), name.Insecure)
}
