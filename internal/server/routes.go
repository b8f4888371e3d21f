package server

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/stokerd/stoker/internal/api"
)

// A handler answers one kind of request.
type handler func(*Server, http.ResponseWriter, *http.Request)

// routes has the handler of every request, by method and path. A test checks that it is
// sorted.
var routes = map[string]handler{
	"GET /metrics":             (*Server).metrics,
	"GET /v1/status":           (*Server).status,
	"GET /v1/version":          (*Server).version,
	"GET /v1/watch":            (*Server).watch,
	"POST /v1/allow":           post(Backend.Allow),
	"POST /v1/check":           post(Backend.Check),
	"POST /v1/context":         post(Backend.Context),
	"POST /v1/context/diff":    post(Backend.ContextDiff),
	"POST /v1/context/explain": post(Backend.ContextExplain),
	"POST /v1/context/tree":    post(Backend.ContextTree),
	"POST /v1/down":            post(Backend.Down),
	"POST /v1/predict":         post(Backend.Predict),
	"POST /v1/prune":           post(Backend.Prune),
	"POST /v1/replay":          post(Backend.Replay),
	"POST /v1/stats":           post(Backend.Stats),
	"POST /v1/stop":            (*Server).stop,
	"POST /v1/suggest":         post(Backend.Suggest),
	"POST /v1/up":              post(Backend.Up),
	"POST /v1/verify":          streamed(Backend.Verify),
	"POST /v1/warm":            streamed(Backend.Warm),
	"POST /v1/why":             post(Backend.Why),
}

// post returns a handler that calls a method of the Backend and sends its answer.
func post[Request, Answer any](call func(Backend, context.Context, Request) (Answer, error)) handler {
	return func(s *Server, w http.ResponseWriter, r *http.Request) {
		var req Request
		if err := decode(r, &req); err != nil {
			s.fail(w, r, err)
			return
		}
		answer, err := call(s.Backend, r.Context(), req)
		if err != nil {
			s.fail(w, r, err)
			return
		}
		s.answer(w, r, answer)
	}
}

func (s *Server) status(w http.ResponseWriter, r *http.Request) {
	_, _ = w.Write(s.Backend.StatusJSON(r.Context())) // an error means that the client is gone
}

func (s *Server) metrics(w http.ResponseWriter, r *http.Request) {
	w.Header().Del("Content-Type") // the handler sets it, depending on what is accepted
	s.Backend.Metrics().ServeHTTP(w, r)
}

func (s *Server) version(w http.ResponseWriter, r *http.Request) { s.answer(w, r, s.Version) }

// stop answers before it stops the daemon. The client then waits for the lock.
func (s *Server) stop(w http.ResponseWriter, r *http.Request) {
	s.answer(w, r, api.Done{Message: "the daemon is stopping"})
	s.Stop()
}

// watch streams the current status, and a new one whenever it changes.
func (s *Server) watch(w http.ResponseWriter, r *http.Request) {
	out := newStream[json.RawMessage](s, w, r)
	for seq := uint64(0); ; {
		status, next, err := s.Backend.StatusAfter(r.Context(), seq)
		if err != nil {
			out.end(err)
			return
		}
		if out.send(json.RawMessage(status)) != nil {
			return // the client is gone
		}
		seq = next
	}
}

// streamed returns a handler that calls a method of the Backend and streams the events
// that it reports.
func streamed[Request, Event any](call func(Backend, context.Context, Request, func(Event)) error) handler {
	return func(s *Server, w http.ResponseWriter, r *http.Request) {
		var req Request
		if err := decode(r, &req); err != nil {
			s.fail(w, r, err)
			return
		}
		out := newStream[Event](s, w, r)
		// If the client goes away, the request's context ends, and with it the work.
		out.end(call(s.Backend, r.Context(), req, func(e Event) { _ = out.send(e) }))
	}
}
