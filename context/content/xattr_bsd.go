//go:build darwin || freebsd || netbsd

package content

import "golang.org/x/sys/unix"

func (r *reader) xattrs(name string) ([]Xattr, error) {
	return readXattrs(r.buf, func(buf []byte) (int, error) { return unix.Llistxattr(name, buf) },
		func(attr string, buf []byte) (int, error) { return unix.Lgetxattr(name, attr, buf) })
}
