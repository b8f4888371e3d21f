//go:build unix

package buildctx

import (
	"errors"
	"syscall"
)

// isNotDirectory reports whether err says that a name on the way is a file.
func isNotDirectory(err error) bool { return errors.Is(err, syscall.ENOTDIR) }
