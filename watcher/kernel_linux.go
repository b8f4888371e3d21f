package watcher

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
)

// oneQueue says that the events of all directories arrive in the order in which the
// changes were made (inotify(7)).
const oneQueue = true

// limitAdvice returns what the user can do when the kernel refuses a watch with err.
func limitAdvice(err error) string {
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return fmt.Sprintf("raise fs.inotify.max_user_watches (sysctl, now %s)", limit("max_user_watches"))
	case errors.Is(err, syscall.EMFILE):
		return fmt.Sprintf("raise fs.inotify.max_user_instances (sysctl, now %s), or the limit of open files (ulimit -n), and restart",
			limit("max_user_instances"))
	}
	return fmt.Sprint(err)
}

// limit returns the value of an inotify setting.
func limit(name string) string {
	b, err := os.ReadFile("/proc/sys/fs/inotify/" + name)
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(b))
}

// changed returns the ctime of a file in nanoseconds.
func changed(fi fs.FileInfo) int64 {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return st.Ctim.Nano()
	}
	return 0
}
