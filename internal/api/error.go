package api

import "net/http"

// A Code is the kind of an [Error]. It decides the HTTP status on the socket
// and the exit status of the command.
type Code string

// The kinds of errors.
const (
	BadInput    Code = "bad-input"   // wrong usage, or a file that does not parse
	NotFound    Code = "not-found"   // no such repository, definition or build
	NotAllowed  Code = "not-allowed" // the repository's owner has not consented
	Failed      Code = "failed"      // the check or the build failed
	NoBuilder   Code = "no-builder"  // none was found, or it could not be reached
	NoDaemon    Code = "no-daemon"   // none runs, or it could not be reached or started
	Unsupported Code = "unsupported" // the builder or this system cannot do it
	Forbidden   Code = "forbidden"   // the request did not come from stoker
	Internal    Code = "internal"    // a defect in stoker
)

// Meaning returns the HTTP status and the exit status for a code. No other code maps
// errors to either.
func (c Code) Meaning() (httpStatus, exitStatus int) {
	switch c {
	case BadInput:
		return http.StatusBadRequest, 2
	case NotFound:
		return http.StatusNotFound, 2
	case NotAllowed:
		return http.StatusConflict, 2
	case Failed:
		return http.StatusUnprocessableEntity, 1
	case NoBuilder:
		return http.StatusBadGateway, 3
	case NoDaemon:
		return http.StatusServiceUnavailable, 3
	case Unsupported:
		return http.StatusNotImplemented, 2
	case Forbidden:
		return http.StatusForbidden, 1
	default:
		return http.StatusInternalServerError, 1
	}
}

// Error is an error as it is sent over the socket and shown to the user. It implements
// error; find it with errors.As.
type Error struct {
	Message string `json:"error"`          // begins with file and line if it is about a file
	Hint    string `json:"hint,omitempty"` // what the user can do about it
	Code    Code   `json:"code"`
}

// Error returns the message without the hint.
func (e *Error) Error() string { return e.Message }

// Frame is one line of a streamed answer. The last one has Done or Error set. A stream
// without such a frame at its end is incomplete.
type Frame[T any] struct {
	Event *T     `json:"event,omitempty"`
	Error *Error `json:"error,omitempty"`
	Done  bool   `json:"done,omitempty"`
}
