//go:build unix

package suggest

import (
	"fmt"
	"os"
	"syscall"
)

// keepOwner gives f the owner of the file at name, where there is one. A user
// who may not do so may write the file only through a group: then the owner
// would change, and the edit is refused.
func keepOwner(f *os.File, name string) error {
	old, err := os.Stat(name)
	if err != nil {
		return nil // a new file is the caller's own
	}
	now, err := f.Stat()
	if err != nil {
		return err
	}
	a, ok := old.Sys().(*syscall.Stat_t)
	b, ok2 := now.Sys().(*syscall.Stat_t)
	if !ok || !ok2 || a.Uid == b.Uid && a.Gid == b.Gid {
		return nil
	}
	if err := f.Chown(int(a.Uid), int(a.Gid)); err != nil {
		return fmt.Errorf("keep its owner: %w", err)
	}
	// A change of owner clears the set-id bits; a mode is given again.
	return f.Chmod(old.Mode().Perm())
}
