// Package server serves a [Backend] over the daemon's socket, as HTTP and JSON.
//
// Handlers are thin: decode, call the Backend, encode. What they share is in
// one place each: [routes] lists them, api.Code.Meaning says what an error
// means, and guard.go keeps browsers out, whose pages may send requests to a
// port that forwards to the socket.
//
// The wire structs are in internal/api. POST takes one JSON object, GET none.
// /v1/verify, /v1/warm and /v1/watch answer as things happen, with a stream of
// api.Frame, one JSON object on each line.
package server

import (
	"context"
	"net/http"

	"github.com/stokerd/stoker/internal/api"
)

// A Backend is what the daemon does. Its methods are called from many
// goroutines, and give up when their ctx ends. An error that is or wraps an
// *api.Error reaches the user as it is; any other counts as a defect.
type Backend interface {
	Statuses
	Repositories
	Answers
	Warmer
	Verifier
	Pruner
	// Metrics serves what Prometheus reads.
	Metrics() http.Handler
}

// Statuses gives the status that the daemon holds ready.
type Statuses interface {
	// StatusJSON returns an api.Status as JSON. Nobody writes to it.
	StatusJSON(ctx context.Context) []byte
	// StatusAfter waits until there is a status newer than the one numbered
	// seq (0: any) and returns it with its own number.
	StatusAfter(ctx context.Context, seq uint64) (status []byte, next uint64, err error)
}

// Repositories says what is watched, and what may run.
type Repositories interface {
	Up(context.Context, api.UpRequest) (api.Status, error)
	Down(context.Context, api.DownRequest) (api.Done, error)
	Allow(context.Context, api.AllowRequest) (api.Done, error)
}

// Answers are the read commands.
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

// Pruner shows what a builder keeps, and removes what of it was asked for.
type Pruner interface {
	Prune(context.Context, api.PruneRequest) (api.Prune, error)
}

// Warmer warms caches.
type Warmer interface {
	// Warm calls progress, from one goroutine, as things happen.
	Warm(ctx context.Context, req api.WarmRequest, progress func(api.WarmEvent)) error
}

// Verifier builds and compares.
type Verifier interface {
	// Verify calls progress, from one goroutine at a time, as things happen.
	Verify(ctx context.Context, req api.VerifyRequest, progress func(api.VerifyEvent)) error
}
