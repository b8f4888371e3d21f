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
