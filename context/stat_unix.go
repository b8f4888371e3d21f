//go:build unix

package buildctx

import (
	"io/fs"
	"syscall"
)

func (st *stat) fromSystem(fi fs.FileInfo) {
	sys, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return
	}
	st.inode = sys.Ino
	st.links = uint32(sys.Nlink)
	st.uid, st.gid = sys.Uid, sys.Gid
	st.device = uint64(sys.Rdev)
	st.ctime = changeTime(sys)
}
