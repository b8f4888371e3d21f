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

// ErrNoExport says that the builder does not hand out what it builds: it is a Docker
// Engine that keeps images in its own store (moby: builder-next/worker).
var ErrNoExport = errors.New("this builder does not export images in OCI form")

// An Offer is what a user lets a build of ours use. Its values live in memory
// for that build only.
type Offer struct {
	Secrets map[string][]byte   // by id
	SSH     map[string][]string // by id: the socket of an agent, or key files
}

// attachables returns what serves the offer to the builder.
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

// Export builds r and has read take the image as an OCI archive while the
// builder writes it: nothing is kept on this side. An error of read's ends the
// build and is returned; else errors are as for [Builder.Warm], and [ErrNoExport].
//
// The archive is exported with the builder's own settings. With others, such as
// layers left uncompressed, the builder would remember the layers in that form
// and put them into an image that the user pushes later (BuildKit:
// cache.computeBlobChain).
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
			_, err = io.Copy(io.Discard, pr) // what pads the archive
		}
		if err != nil {
			cancel(err)
		}
		pr.CloseWithError(err)
		took <- err
	}()
	seen, err := b.solve(ctx, nil, opt, r.Progress)
	pw.CloseWithError(err) // where the build failed nobody else closes it
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
