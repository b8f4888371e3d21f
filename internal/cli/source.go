package cli

import (
	"context"
	"errors"
	"os"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/client"
	"github.com/stokerd/stoker/internal/ipc"
	"github.com/stokerd/stoker/internal/version"
)

// A source answers what commands ask: the daemon by its [client.Client], or a [local].
type source interface {
	Check(context.Context, api.CheckRequest) (api.Check, error)
	Context(context.Context, api.ContextRequest) (api.Context, error)
	ContextDiff(context.Context, api.ContextDiffRequest) (api.ContextDiff, error)
	ContextExplain(context.Context, api.ContextExplainRequest) (api.ContextExplain, error)
	ContextTree(context.Context, api.ContextTreeRequest) (api.ContextTree, error)
	Replay(context.Context, api.ReplayRequest) (api.Replay, error)
	Stats(context.Context, api.StatsRequest) (api.Stats, error)
	Suggest(context.Context, api.SuggestRequest) (api.Suggest, error)
	Verify(context.Context, api.VerifyRequest, func(api.VerifyEvent)) error
	Warm(context.Context, api.WarmRequest, func(api.WarmEvent)) error
}

var (
	_ source = (*client.Client)(nil)
	_ source = (*local)(nil)
)

// daemon connects to the running daemon. The error wraps [client.ErrNoDaemon] if
// none runs. The caller closes the client.
func (o *options) daemon(ctx context.Context) (*client.Client, error) {
	paths, err := ipc.Locate(o.Getenv)
	if err != nil {
		return nil, err
	}
	return client.Connect(ctx, paths, api.Version{Version: version.Get().Number, PID: os.Getpid(), Level: api.Level})
}

// mustDaemon is like [options.daemon], for commands that only a daemon can answer. If
// none runs, the error is an *api.Error with missing as its message, and hint.
func (o *options) mustDaemon(ctx context.Context, missing, hint string) (*client.Client, error) {
	c, err := o.daemon(ctx)
	if errors.Is(err, client.ErrNoDaemon) {
		return nil, &api.Error{Code: api.NoDaemon, Message: missing, Hint: hint}
	}
	return c, err
}

// ask puts question to the daemon. It puts it to a [local] if onTheSpot, if no daemon
// runs or can be reached, or if the daemon does not know what is asked about, as when
// it does not watch the repository.
func ask[T any](ctx context.Context, o *options, onTheSpot bool, question func(source) (T, error)) (T, error) {
	if onTheSpot {
		return question(&local{options: o})
	}
	c, err := o.daemon(ctx)
	if err == nil {
		defer c.Close()
		var answer T
		answer, err = question(c)
		if !isNotFound(err) && !isUnreachable(err) {
			return answer, err
		}
	}
	if ctx.Err() != nil {
		var none T
		return none, ctx.Err()
	}
	if err != nil && !isNotFound(err) && !errors.Is(err, client.ErrNoDaemon) {
		// The files can be read without the daemon, so its failure is only a hint.
		e := explain(err)
		o.hint("%s: computed on the spot; %s", e.Message, e.Hint)
	}
	return question(&local{options: o})
}

// isNotFound reports whether the daemon did not know what was asked about: the
// repository is not watched, or the name is new. A local look may find it.
func isNotFound(err error) bool {
	var e *api.Error
	return errors.As(err, &e) && e.Code == api.NotFound
}

// isUnreachable reports whether no daemon could be asked, or it gave no answer.
func isUnreachable(err error) bool {
	var e *api.Error
	return errors.As(err, &e) && e.Code == api.NoDaemon
}
