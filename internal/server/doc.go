// Package server serves a [Backend] over the daemon's socket, as HTTP and JSON.
//
// Handlers are thin: they decode the request, call the Backend, and encode the answer.
// [routes] lists them. api.Code.Meaning maps errors to HTTP statuses. guard.go rejects
// requests from browsers, whose pages could reach a port that is forwarded to the
// socket.
//
// The wire structs are in internal/api. A POST has one JSON object as its body, a GET
// has none. /v1/verify, /v1/warm and /v1/watch stream their answers as things happen,
// as one api.Frame in JSON per line.
package server

import (
	"context"
	"net/http"

	"github.com/stokerd/stoker/internal/api"
)

// A Backend does the work of the daemon. Its methods must be safe for concurrent use,
// and return when their ctx ends. An error that is or wraps an *api.Error is sent to
// the user as it is. Any other is logged as a defect, and sent with the code
// api.Internal.
type Backend interface {
	Statuses
	Repositories
	Answers
	Warmer
	Verifier
	Pruner
	// Metrics returns the handler for Prometheus.
	Metrics() http.Handler
}

// Statuses returns the status that the daemon keeps ready.
type Statuses interface {
	// StatusJSON returns the current api.Status as JSON, which must not be modified.
	StatusJSON(ctx context.Context) []byte
	// StatusAfter waits for a status newer than number seq, and returns it with its
	// own number. If seq is 0 it returns the current one.
	StatusAfter(ctx context.Context, seq uint64) (status []byte, next uint64, err error)
}

// Repositories changes what is watched and what is allowed.
type Repositories interface {
	Up(context.Context, api.UpRequest) (api.Status, error)
	Down(context.Context, api.DownRequest) (api.Done, error)
	Allow(context.Context, api.AllowRequest) (api.Done, error)
}

// Answers has the requests that change nothing.
type Answers interface {
	Check(context.Context, api.CheckRequest) (api.Check, error)
	Context(context.Context, api.ContextRequest) (api.Context, error)
	ContextDiff(context.Context, api.ContextDiffRequest) (api.ContextDiff, error)
	ContextExplain(context.Context, api.ContextExplainRequest) (api.ContextExplain, error)
	ContextTree(context.Context, api.ContextTreeRequest) (api.ContextTree, error)
	Predict(context.Context, api.PredictRequest) (api.Predict, error)
	Replay(context.Context, api.ReplayRequest) (api.Replay, error)
	Stats(context.Context, api.StatsRequest) (api.Stats, error)
	Suggest(context.Context, api.SuggestRequest) (api.Suggest, error)
	Why(context.Context, api.WhyRequest) (api.Why, error)
}

// Pruner lists what a builder keeps, and removes what the request names.
type Pruner interface {
	Prune(context.Context, api.PruneRequest) (api.Prune, error)
}

// Warmer warms caches.
type Warmer interface {
	// Warm calls progress as things happen, from one goroutine.
	Warm(ctx context.Context, req api.WarmRequest, progress func(api.WarmEvent)) error
}

// Verifier builds both versions of Dockerfiles and compares the images.
type Verifier interface {
	// Verify calls progress as things happen, from one goroutine at a time.
	Verify(ctx context.Context, req api.VerifyRequest, progress func(api.VerifyEvent)) error
}
