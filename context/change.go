package buildctx

import "math"

// Changed returns when anything about the file at path last changed: its ctime, in
// nanoseconds since 1970 by the file system's clock. A symbolic link is not
// followed. Where the time is unknown, because path cannot be read or the system
// keeps no ctime, Changed returns math.MaxInt64, which is later than any change
// that a caller may ask about.
//
// The ctime of a directory also moves when an entry is added to it or removed. A
// tree does not refresh the [Stamp] of a directory for that.
func Changed(path string) int64 {
	st, _, err := lstat(path)
	if err != nil || st.ctime == 0 {
		return math.MaxInt64
	}
	return st.ctime
}

// Remoded returns the ctime of the directory at path, in nanoseconds since 1970, if
// the last change was to the directory itself, such as its mode, and not to the list
// of its entries. Otherwise it returns 0, as it does if path cannot be read, and on
// systems without a ctime, which have no modes to change either.
func Remoded(path string) int64 {
	st, _, err := lstat(path)
	if err != nil || st.ctime == st.mtime {
		return 0
	}
	return st.ctime
}
