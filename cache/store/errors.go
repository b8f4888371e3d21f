package store

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
)

// What can be wrong with the store itself. Test with errors.Is.
var (
	// ErrLocked means that another process has the file open.
	ErrLocked = errors.New("another stoker daemon has the store open")
	// ErrNewer means that a newer stoker wrote the file. It is not changed.
	ErrNewer = errors.New("the store was written by a newer stoker")
	// ErrFull means that there is no space left for a write. Reading still works, and
	// so does writing once there is space again.
	ErrFull = errors.New("no space left to write the store")
	// ErrCorrupt means that something in the file is not as it was written.
	ErrCorrupt = errors.New("the store is corrupt")
)

// explain returns err wrapped in [ErrFull] if that is what it means.
func explain(err error) error {
	for _, full := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG} {
		// bbolt does not wrap all of them ("file resize error: …").
		if errors.Is(err, full) || strings.Contains(err.Error(), full.Error()) {
			return fmt.Errorf("%w: %w", ErrFull, err)
		}
	}
	return err
}
