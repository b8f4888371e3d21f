package api

import "net/http"

// A Code is the kind of an [Error]. It decides the HTTP status on the socket
// and the exit status of the command.
type Code string

// The kinds of errors.
const (
	BadInput    Code = "bad-input"   // usage, a file that does not parse: the user can mend it
	NotFound    Code = "not-found"   // no such repository, definition or build
	NotAllowed  Code = "not-allowed" // the repository's owner has not consented
	Failed      Code = "failed"      // the check or the build failed
	NoBuilder   Code = "no-builder"
	NoDaemon    Code = "no-daemon" // none runs, or it could not be reached or started
	Unsupported Code = "unsupported"
	Forbidden   Code = "forbidden" // the request did not come from stoker
	Internal    Code = "internal"  // a defect in stoker
)

// Meaning returns the HTTP status and the exit status that stand for a code.
// This is the only table of the two.
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

// Error is what went wrong, as it travels over the socket and reaches the
// user. It implements error; find it with errors.As.
type Error struct {
	Message string `json:"error"`          // file and line first where it concerns a file
	Hint    string `json:"hint,omitempty"` // the mend
	Code    Code   `json:"code"`
}

// Error returns the message without the hint.
func (e *Error) Error() string { return e.Message }

// Frame is one line of a streamed answer. The last one has Done or Error set;
// a stream that ends without was cut off.
type Frame[T any] struct {
	Event *T     `json:"event,omitempty"`
	Error *Error `json:"error,omitempty"`
	Done  bool   `json:"done,omitempty"`
}
