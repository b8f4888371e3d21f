//go:build unix

package ipc

import (
	"io/fs"
	"syscall"
)

// owner returns the uid of a file's owner; ok is false if that is unknown.
func owner(info fs.FileInfo) (uid int, ok bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(stat.Uid), true
}
