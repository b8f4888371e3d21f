package buildctx

import "io/fs"

// fromSystem gives every file the mode that BuildKit's client sends for one on
// Windows, where there are no such bits (fsutil: mkstat).
func (st *stat) fromSystem(fs.FileInfo, *oddity) {
	perm := (st.mode.Perm() | 0o111) & 0o755
	st.mode = st.mode&^fs.ModePerm | perm
}
