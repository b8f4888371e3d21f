package image

import "fmt"

// An Error is about an image, or the name that was given for it.
type Error struct {
	Message     string // names the image, and the layer if it is about one
	Hint        string // what the user can do; may be empty
	Unreachable bool   // an engine or a registry did not answer, and the image may be fine
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

// bad returns an error with a hint, which may be "".
func bad(hint, format string, args ...any) *Error {
	return &Error{Message: fmt.Sprintf(format, args...), Hint: hint}
}
