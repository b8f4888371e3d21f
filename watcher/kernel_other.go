//go:build !linux

package watcher

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

// oneQueue says that events of all directories come in the order in which the
// changes were made. Neither kqueue nor ReadDirectoryChangesW promises it.
const oneQueue = false

// limitAdvice names the setting to raise when the kernel refuses a watch.
func limitAdvice(err error) string {
	if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
		return "raise the limit of open files (ulimit -n; on macOS sysctl kern.maxfilesperproc)"
	}
	return fmt.Sprint(err)
}

// changed is the time of the newest change of a file's metadata, where it is
// known beside the modification time.
func changed(fs.FileInfo) int64 { return 0 }
