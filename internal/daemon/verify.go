package daemon

import (
	"context"

	"github.com/stokerd/stoker/cache/buildkit"
	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/verify"
)

// Verify builds and compares on request. That the user typed it is leave for this
// run, unless the request says that it is none. Warming waits meanwhile.
func (d *Daemon) Verify(ctx context.Context, req api.VerifyRequest, progress func(api.VerifyEvent)) error {
	r, picture, err := d.picture(ctx, req.Query)
	if err != nil {
		return err
	}
	if req.IfAllowed && !r.allowed() {
		return &api.Error{Code: api.NotAllowed, Message: "the repository is not allowed, so nothing of it is built unasked"}
	}
	node := d.builder.current()
	if node == nil {
		return d.builder.missing()
	}
	release := d.warmer.Hold()
	defer release()
	known := d.account(node)
	one := &rerun{}
	ended := known.begins(one)
	defer ended()
	d.verifies(ctx, r, known, one, picture, req.Candidates)
	builder := verifying{node, func(ctx context.Context, request buildkit.Request) {
		known.anew.add(one, d.runs(ctx, r, picture, request)) // a text may be another by now
	}}
	watch := func() func(buildkit.Request, buildkit.Solved) {
		s, err := r.fresh(ctx)
		if err != nil || s.picture == nil {
			return func(buildkit.Request, buildkit.Solved) {}
		}
		return func(request buildkit.Request, solved buildkit.Solved) {
			d.enterOwn(ctx, node, r, request, solved, s.picture)
		}
	}
	return verify.Run(ctx, verify.Job{Builder: builder, Where: node.Info().Name, Picture: picture, Request: req, Tell: progress, Watch: watch})
}
