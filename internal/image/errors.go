package image

import "fmt"

// An Error is of the image or of how it was asked for; the user can mend it.
type Error struct {
	// Message names the image, and the layer where there is one. Hint is the mend; it may be empty.
	Message, Hint string
	// Unreachable reports that an engine or a registry did not answer: the image itself may be fine.
	Unreachable bool
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

func bad(hint, format string, args ...any) *Error {
	return &Error{Message: fmt.Sprintf(format, args...), Hint: hint}
}
