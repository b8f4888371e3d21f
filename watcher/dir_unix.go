//go:build unix

package watcher

import (
	"io/fs"
	"os"
	"syscall"
)

// openDir opens a directory for listing, without following a symlink, and tells
// its inode.
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

// inode tells two files of one name apart; 0 is "unknown".
func inode(fi fs.FileInfo) uint64 {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return st.Ino
	}
	return 0
}
