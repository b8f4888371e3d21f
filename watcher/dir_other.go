//go:build !unix

package watcher

import (
	"io/fs"
	"os"
	"syscall"
)

// openDir opens a directory for listing, unless it is a symlink. It returns 0 as
// its inode: these systems have none.
func openDir(path string) (*os.File, uint64, error) {
	if !isDir(path) {
		return nil, 0, &fs.PathError{Op: "open", Path: path, Err: syscall.ENOTDIR}
	}
	f, err := os.Open(path)
	return f, 0, err
}

// inode returns the inode of a file, 0 if it is unknown.
func inode(fs.FileInfo) uint64 { return 0 }
