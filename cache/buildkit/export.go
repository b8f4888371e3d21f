package buildkit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/session/secrets/secretsprovider"
	"github.com/moby/buildkit/session/sshforward/sshprovider"
)

// ErrNoExport says that the builder cannot export an image as an OCI archive, because it
// is a Docker Engine without containerd's image store (moby: builder-next/worker).
var ErrNoExport = errors.New("this builder does not export images in OCI form")

// An Offer has the secrets and ssh agents that the user lets a build use. Its values are
// in memory for that build only.
type Offer struct {
	Secrets map[string][]byte   // by id
	SSH     map[string][]string // by id: the socket of an agent, or key files
}

// attachables returns the parts of a session that serve the offer to the builder.
func (o Offer) attachables() ([]session.Attachable, error) {
	var list []session.Attachable
	if len(o.Secrets) > 0 {
		list = append(list, secretsprovider.FromMap(o.Secrets))
	}
	var agents []sshprovider.AgentConfig
	for _, id := range slices.Sorted(maps.Keys(o.SSH)) {
		agents = append(agents, sshprovider.AgentConfig{ID: id, Paths: o.SSH[id]})
	}
	if len(agents) > 0 {
		provider, err := sshprovider.NewSSHAgentProvider(agents)
		if err != nil {
			return nil, fmt.Errorf("offer ssh: %w", err)
		}
		list = append(list, provider)
	}
	return list, nil
}

// Export builds r and passes the image to read as an OCI archive while the builder sends
// it, so that nothing is stored on this side. An error of read ends the build and is
// returned. Other errors are those of [Builder.Warm], and [ErrNoExport].
//
// The archive has the builder's default settings. With others, such as uncompressed layers,
// the builder would keep the layers in that form, and put them into an image that the user
// pushes later (BuildKit: cache.computeBlobChain).
func (b *Builder) Export(ctx context.Context, r Request, read func(io.Reader) error) error {
	opt, err := b.solveOpt(r)
	if err != nil {
		return err
	}
	pr, pw := io.Pipe()
	opt.Exports = []client.ExportEntry{{
		Type:   client.ExporterOCI,
		Output: func(map[string]string) (io.WriteCloser, error) { return pw, nil },
	}}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	took := make(chan error, 1)
	go func() {
		err := read(pr)
		if err == nil {
			_, err = io.Copy(io.Discard, pr) // the padding of the archive
		}
		if err != nil {
			cancel(err)
		}
		pr.CloseWithError(err)
		took <- err
	}()
	seen, err := b.solve(ctx, nil, opt, r.Progress)
	pw.CloseWithError(err) // the client does not close it if the build fails
	readErr := <-took
	if r.Done != nil {
		r.Done(Solved{seen: seen, Broken: err != nil})
	}
	switch {
	case err == nil:
		return readErr
	case lacksExporter(err):
		return ErrNoExport
	}
	return err
}
