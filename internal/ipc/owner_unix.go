//go:build unix

package ipc

import (
	"io/fs"
	"syscall"
)

// owner returns the uid that a file belongs to; ok is false where files have none.
func owner(info fs.FileInfo) (uid int, ok bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(stat.Uid), true
}
