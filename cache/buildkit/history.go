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

// ErrNoHistory says that the builder keeps no history, and what to do.
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

// Args returns the build args with their values. They may be secrets: they stay
// in memory.
func (ev Event) Args() map[string]string { return ev.attrs("build-arg:") }

// NamedContexts returns the named contexts as the client gave them: addresses,
// and "local:…" for directories, of which the builder does not know where they
// lie.
func (ev Event) NamedContexts() map[string]string { return ev.attrs("context:") }

// IgnoresCache reports whether the build runs steps that the builder has results of.
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

// Watch calls fn for every build that is running, then for every one that the
// builder remembers, in any order, then for each that starts, completes or is
// deleted, until ctx ends or the connection breaks; it never returns nil. An error
// of fn ends it and is returned. A builder without history gives [ErrNoHistory].
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

// History returns the builds that are running and those that the builder remembers,
// the latter in the order in which they ended. Errors are as for [Builder.Watch].
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

// listed returns what the builder answers to a request that exits early.
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

func historyError(err error) error {
	if status.Code(rootOf(err)) == codes.Unimplemented {
		return ErrNoHistory
	}
	return fmt.Errorf("watch build history: %w", err)
}

// rootOf unwraps to the error that carries a gRPC status, which BuildKit's
// client wraps by means that [status.Code] does not always see through.
func rootOf(err error) error {
	var s interface{ GRPCStatus() *status.Status }
	if errors.As(err, &s) {
		return s.GRPCStatus().Err()
	}
	return err
}
