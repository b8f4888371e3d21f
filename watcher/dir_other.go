//go:build !unix

package watcher

import (
	"io/fs"
	"os"
	"syscall"
)

// openDir opens a directory for listing, unless it is a symlink. The inode is
// unknown.
func openDir(path string) (*os.File, uint64, error) {
	if !isDir(path) {
		return nil, 0, &fs.PathError{Op: "open", Path: path, Err: syscall.ENOTDIR}
	}
	f, err := os.Open(path)
	return f, 0, err
}

// inode tells two files of one name apart; 0 is "unknown".
func inode(fs.FileInfo) uint64 { return 0 }
