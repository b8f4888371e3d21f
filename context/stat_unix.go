//go:build unix

package buildctx

import (
	"io/fs"
	"syscall"
)

// fromSystem sets what io/fs does not report: inode, ctime and number of names in
// st, and a device's number in odd.
func (st *stat) fromSystem(fi fs.FileInfo, odd *oddity) {
	sys, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return
	}
	st.inode = sys.Ino
	st.linked = sys.Nlink > 1 && !fi.IsDir()
	st.ctime = changeTime(sys)
	if fi.Mode()&fs.ModeDevice != 0 {
		odd.device = uint64(sys.Rdev)
	}
}
