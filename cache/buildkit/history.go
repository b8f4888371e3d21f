package buildkit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	controlapi "github.com/moby/buildkit/api/services/control"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// ErrNoHistory says that the builder is too old to keep a history.
var ErrNoHistory = errors.New("this BuildKit keeps no build history: builds are seen from BuildKit v0.11 and Docker Engine 23 on")

// EventType says what happened to a build.
type EventType string

// What can happen to a build.
const (
	Started  EventType = "started"
	Complete EventType = "complete"
	Deleted  EventType = "deleted" // its record was dropped from the builder's history
)

// An Event is one change in a builder's history.
type Event struct {
	Type EventType
	Ref  string
	// Generation grows when the builder updates the record of a build: the
	// same build can be reported complete more than once.
	Generation int32
	Created    time.Time // by the builder's clock
	Completed  time.Time

	record *controlapi.BuildHistoryRecord
}

// Args returns the build args. The values may be secrets, and must stay in memory.
func (ev Event) Args() map[string]string { return ev.attrs("build-arg:") }

// NamedContexts returns the named contexts as the client gave them: addresses, and
// "local:…" for directories, whose paths the builder does not know.
func (ev Event) NamedContexts() map[string]string { return ev.attrs("context:") }

// IgnoresCache reports whether the build, or some stage of it, was told to run all steps
// even if the builder has their results.
func (ev Event) IgnoresCache() bool {
	if ev.record == nil {
		return false
	}
	_, told := ev.record.FrontendAttrs["no-cache"]
	return told
}

// attrs returns the attributes of the build whose name begins with prefix.
func (ev Event) attrs(prefix string) map[string]string {
	found := map[string]string{}
	if ev.record != nil {
		for key, value := range ev.record.FrontendAttrs {
			if name, ok := strings.CutPrefix(key, prefix); ok {
				found[name] = value
			}
		}
	}
	return found
}

// Watch calls fn for every running build, then for every build in the history, in any
// order, then whenever a build starts, completes or is deleted. It returns when ctx ends,
// the connection breaks or fn returns an error, always with an error: that of fn, or
// [ErrNoHistory] if the builder keeps no history.
func (b *Builder) Watch(ctx context.Context, fn func(Event) error) error {
	stream, err := b.client.ControlClient().ListenBuildHistory(ctx, &controlapi.BuildHistoryRequest{})
	if err != nil {
		return historyError(err)
	}
	for {
		ev, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("watch build history: %w", io.ErrUnexpectedEOF)
		}
		if err != nil {
			return historyError(err)
		}
		if ev.Record == nil {
			continue
		}
		if err := fn(newEvent(ev)); err != nil {
			return err
		}
	}
}

// History returns the running builds, then those in the history in the order in which
// they ended. Errors are as for [Builder.Watch].
func (b *Builder) History(ctx context.Context) ([]Event, error) {
	list, err := b.listed(ctx, &controlapi.BuildHistoryRequest{EarlyExit: true})
	slices.SortStableFunc(list, func(a, b Event) int { return a.Completed.Compare(b.Completed) })
	return list, err
}

// Active returns the builds that are running, in any order. Errors are as for
// [Builder.Watch].
func (b *Builder) Active(ctx context.Context) ([]Event, error) {
	return b.listed(ctx, &controlapi.BuildHistoryRequest{ActiveOnly: true, EarlyExit: true})
}

// listed returns the events that answer a request with EarlyExit.
func (b *Builder) listed(ctx context.Context, request *controlapi.BuildHistoryRequest) ([]Event, error) {
	stream, err := b.client.ControlClient().ListenBuildHistory(ctx, request)
	if err != nil {
		return nil, historyError(err)
	}
	var list []Event
	for {
		ev, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return list, nil
		}
		if err != nil {
			return nil, historyError(err)
		}
		if ev.Record != nil {
			list = append(list, newEvent(ev))
		}
	}
}

// newEvent returns the event that the builder sent.
func newEvent(ev *controlapi.BuildHistoryEvent) Event {
	e := Event{Ref: ev.Record.Ref, Generation: ev.Record.Generation, record: ev.Record}
	switch ev.Type {
	case controlapi.BuildHistoryEventType_STARTED:
		e.Type = Started
	case controlapi.BuildHistoryEventType_COMPLETE:
		e.Type = Complete
	default:
		e.Type = Deleted
	}
	if t := ev.Record.CreatedAt; t != nil {
		e.Created = t.AsTime()
	}
	if t := ev.Record.CompletedAt; t != nil {
		e.Completed = t.AsTime()
	}
	return e
}

// remembers reports whether the builder keeps a history, by asking for a build that
// does not exist.
func (b *Builder) remembers(ctx context.Context) (bool, error) {
	stream, err := b.client.ControlClient().ListenBuildHistory(ctx, &controlapi.BuildHistoryRequest{Ref: "none", EarlyExit: true})
	for err == nil {
		_, err = stream.Recv()
	}
	if errors.Is(err, io.EOF) {
		return true, nil
	}
	if err = historyError(err); errors.Is(err, ErrNoHistory) {
		return false, nil
	}
	return false, err
}

// historyError returns the error of a call for the history.
func historyError(err error) error {
	if status.Code(rootOf(err)) == codes.Unimplemented {
		return ErrNoHistory
	}
	return fmt.Errorf("watch build history: %w", err)
}

// rootOf returns the gRPC status that err wraps, or err if there is none. [status.Code]
// does not find it below all of the wrapping that BuildKit's client does.
func rootOf(err error) error {
	var s interface{ GRPCStatus() *status.Status }
	if errors.As(err, &s) {
		return s.GRPCStatus().Err()
	}
	return err
}
