package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"github.com/stokerd/stoker/internal/api"
)

// decode reads the body of a request, a single JSON object. Unknown fields are an
// error, since they come from a newer client that would be misunderstood. The error is
// an *api.Error.
func decode(r *http.Request, into any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil {
		switch _, after := d.Token(); {
		case after == nil:
			err = errors.New("more than one object")
		case !errors.Is(after, io.EOF):
			err = after
		}
	}
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return &api.Error{Code: api.BadInput, Message: "the request is larger than 16 MiB"}
	}
	if err != nil {
		return &api.Error{Code: api.BadInput, Message: "the request does not parse: " + err.Error()}
	}
	return nil
}

// answer sends a value as JSON.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, value any) {
	raw, err := json.Marshal(value)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	_, _ = w.Write(raw) // an error means that the client is gone
}

// fail sends an error, with the HTTP status for its code.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	e := s.wireError(r, err)
	raw, _ := json.Marshal(e) // it has only strings, which always marshal
	status, _ := e.Code.Meaning()
	w.WriteHeader(status)
	_, _ = w.Write(raw)
}

// wireError returns err in the form in which it is sent. An error that is not meant for
// the user is logged.
func (s *Server) wireError(r *http.Request, err error) *api.Error {
	var e *api.Error
	if errors.As(err, &e) {
		// Errors that wrap e name the file or step that it is about.
		return &api.Error{Code: e.Code, Message: err.Error(), Hint: e.Hint}
	}
	if errors.Is(err, context.Canceled) && r.Context().Err() != nil {
		return &api.Error{Code: api.NoDaemon, Message: "the daemon is stopping", Hint: "stoker up starts it again"}
	}
	s.log().Error("a request failed", "method", r.Method, "path", r.URL.Path, "error", err)
	return &api.Error{Code: api.Internal, Message: err.Error()}
}

// A stream sends an answer as a sequence of frames, one per line.
type stream[T any] struct {
	server  *Server
	w       http.ResponseWriter
	r       *http.Request
	flusher *http.ResponseController
	buf     bytes.Buffer
}

func newStream[T any](s *Server, w http.ResponseWriter, r *http.Request) *stream[T] {
	w.Header().Set("Content-Type", "application/x-ndjson")
	return &stream[T]{server: s, w: w, r: r, flusher: http.NewResponseController(w)}
}

// send sends an event. An error means that the client is gone.
func (st *stream[T]) send(event T) error { return st.write(api.Frame[T]{Event: &event}) }

// end sends the last frame, with err if it is not nil: the HTTP status of a stream is
// always 200.
func (st *stream[T]) end(err error) {
	last := api.Frame[T]{Done: err == nil}
	if err != nil {
		last.Error = st.server.wireError(st.r, err)
	}
	_ = st.write(last)
}

// write sends a frame at once.
func (st *stream[T]) write(f api.Frame[T]) error {
	st.buf.Reset()
	if err := json.NewEncoder(&st.buf).Encode(f); err != nil { // on one line
		return err
	}
	if _, err := st.w.Write(st.buf.Bytes()); err != nil {
		return err
	}
	return st.flusher.Flush()
}
