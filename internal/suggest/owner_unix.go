//go:build unix

package suggest

import (
	"fmt"
	"os"
	"syscall"
)

// keepOwner gives f the owner and group of the file at name, if there is one. It fails for a user
// who may write the file, but is not its owner: the edit would change that.
func keepOwner(f *os.File, name string) error {
	old, err := os.Stat(name)
	if err != nil {
		return nil // a new file belongs to the user
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
	// Changing the owner may change the mode.
	return f.Chmod(old.Mode().Perm())
}
