package store

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
)

// What can be wrong with the store itself. Test with errors.Is.
var (
	// ErrLocked: another process has the file open.
	ErrLocked = errors.New("another stoker daemon has the store open")
	// ErrNewer: a newer stoker wrote the file. It is left as it is.
	ErrNewer = errors.New("the store was written by a newer stoker")
	// ErrFull: there is no space left for a write. Reads go on, and so do
	// writes once there is space again.
	ErrFull = errors.New("no space left to write the store")
	// ErrCorrupt: a page of the file cannot be what was written there.
	ErrCorrupt = errors.New("the store is corrupt")
)

// explain puts a sentinel in front of an error of the file system.
func explain(err error) error {
	for _, full := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG} {
		// bbolt formats some of them away ("file resize error: …").
		if errors.Is(err, full) || strings.Contains(err.Error(), full.Error()) {
			return fmt.Errorf("%w: %w", ErrFull, err)
		}
	}
	return err
}
