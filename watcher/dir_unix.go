//go:build unix

package watcher

import (
	"io/fs"
	"os"
	"syscall"
)

// openDir opens a directory for listing and returns its inode. It does not follow
// a symlink.
func openDir(path string) (*os.File, uint64, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, 0, err
	}
	fi, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, inode(fi), nil
}

// inode returns the inode of a file, 0 if it is unknown.
func inode(fi fs.FileInfo) uint64 {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return st.Ino
	}
	return 0
}
