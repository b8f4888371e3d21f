//go:build unix

package cli

import (
	"os"
	"syscall"
)

// ownerOf returns the uid that owns root, -1 if it cannot be told.
func ownerOf(root string) int {
	fi, err := os.Stat(root)
	if err != nil {
		return -1
	}
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return int(st.Uid)
	}
	return -1
}
