package daemon

import (
	"context"
	"time"

	"github.com/stokerd/stoker/cache/buildkit"
	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/verify"
)

// Verify answers `stoker verify`: it builds and compares. The user typed the command, which
// is consent for this run unless req.IfAllowed asks for the repository's own. Nothing is
// warmed meanwhile.
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
	ended := known.begin(one)
	defer ended()
	d.noteVerification(ctx, r, known, one, picture, req.Candidates)
	builder := notedBuilder{node, func(ctx context.Context, request buildkit.Request) {
		// A Dockerfile may have been edited since the builds were noted.
		known.reruns.add(one, d.runsUncached(ctx, r, picture, request))
	}}
	watch := func() func(buildkit.Request, buildkit.Solved) {
		s, err := r.fresh(ctx)
		if err != nil || s.picture == nil {
			return func(buildkit.Request, buildkit.Solved) {}
		}
		since := time.Now()
		return func(request buildkit.Request, solved buildkit.Solved) {
			d.enterOwn(ctx, node, r, request, solved, s.picture, since)
		}
	}
	return verify.Run(ctx, verify.Job{Builder: builder, Where: node.Info().Name, Picture: picture, Request: req, Tell: progress, Watch: watch})
}
