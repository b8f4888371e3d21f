package buildctx

import "io/fs"

// fromSystem sets the permissions that BuildKit's client sends from Windows, where
// files have none (fsutil: mkstat). Inode and ctime stay unknown.
func (st *stat) fromSystem(fs.FileInfo, *oddity) {
	perm := (st.mode.Perm() | 0o111) & 0o755
	st.mode = st.mode&^fs.ModePerm | perm
}
