package client

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/ipc"
)

// unreachable returns the error for a request that got no answer because of err, with
// what the user can do about it.
func unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err // the URL means nothing to the user
	}
	e := &api.Error{Code: api.NoDaemon, Message: "the daemon cannot be reached"}
	switch {
	case errors.Is(err, ipc.ErrNoDaemon):
		e.Hint = "stoker up starts one"
	case errors.Is(err, ipc.ErrNotReady):
		e.Hint = "it may be starting or stopping; if this stays so, kill it and run stoker up"
	case errors.Is(err, ipc.ErrForeign):
		e.Hint = "set XDG_RUNTIME_DIR to a folder of your own"
	}
	return fmt.Errorf("%w: %w", e, err)
}

// cutOff returns the error for an answer that is incomplete because of err, or nil if err
// is nil.
func cutOff(err error) error {
	if err == nil {
		return nil
	}
	e := &api.Error{Code: api.NoDaemon, Message: "the daemon's answer was cut off", Hint: "it may have ended: stoker up starts it again"}
	return fmt.Errorf("%w: %w", e, err)
}

// otherVersion returns the error for a daemon of a version that this process, self, does
// not work with.
func otherVersion(daemon, self api.Version, hint string) error {
	return fmt.Errorf("%w: %w", &api.Error{
		Code:    api.NoDaemon,
		Message: fmt.Sprintf("the daemon (pid %d) is stoker %s, this is %s", daemon.PID, daemon.Version, self.Version),
		Hint:    hint,
	}, ErrOtherVersion)
}
