package buildctx

import "math"

// Changed returns the time of the last change of anything about the file itself
// at a path, in nanoseconds by the clock that stamps files; the latest there is
// where that is not known. Of a directory this is also when a name in it last came
// or went, which no [Stamp] of a tree follows.
func Changed(path string) int64 {
	st, _, err := lstat(path)
	if err != nil || st.ctime == 0 {
		return math.MaxInt64
	}
	return st.ctime
}

// Remoded returns the time of the last change of anything about the directory at a
// path if that was not a name in it that came or went, as a change of its mode is
// none; 0 if it was one, or if that is not known, and where the system has no such
// time, which has no modes either.
func Remoded(path string) int64 {
	st, _, err := lstat(path)
	if err != nil || st.ctime == st.mtime {
		return 0
	}
	return st.ctime
}
