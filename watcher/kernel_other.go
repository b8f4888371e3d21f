//go:build !linux

package watcher

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

// oneQueue says that the events of all directories arrive in the order in which the
// changes were made. Neither kqueue nor ReadDirectoryChangesW guarantees that.
const oneQueue = false

// limitAdvice returns what the user can do when the kernel refuses a watch with err.
func limitAdvice(err error) string {
	if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
		return "raise the limit of open files (ulimit -n; on macOS sysctl kern.maxfilesperproc)"
	}
	return fmt.Sprint(err)
}

// changed returns 0: no ctime is used on these systems.
func changed(fs.FileInfo) int64 { return 0 }
