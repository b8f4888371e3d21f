//go:build !linux && !darwin && !freebsd && !netbsd

package content

// xattrs returns none: fsutil sends none of such a system.
func (r *reader) xattrs(string) ([]Xattr, error) { return nil, nil }
