package cli

import (
	"context"

	"github.com/stokerd/stoker/internal/api"
)

// daemonCommand is the hidden command that the daemon runs as.
const daemonCommand = "daemon"

// serveOptions say how this process is the daemon.
type serveOptions struct {
	watch      []api.UpRequest
	foreground bool // a service manager or a person started it
}

func (o *options) serve(ctx context.Context, s serveOptions) error {
	return &api.Error{Code: api.Unsupported, Message: "the daemon is not part of this build"}
}
