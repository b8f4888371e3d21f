//go:build unix

package project

import (
	"os"
	"syscall"
)

// Owner returns the uid that owns the folder at root, -1 if it cannot be told.
// Consent counts for the owner who gave it.
func Owner(root string) int {
	fi, err := os.Stat(root)
	if err != nil {
		return -1
	}
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return int(st.Uid)
	}
	return -1
}

// hasNames reports whether a regular file has more than one name.
func hasNames(fi os.FileInfo) bool {
	st, ok := fi.Sys().(*syscall.Stat_t)
	return ok && fi.Mode().IsRegular() && st.Nlink > 1
}
