package buildctx

import "syscall"

// changeTime returns the ctime in nanoseconds.
func changeTime(st *syscall.Stat_t) int64 { return st.Ctim.Nano() }
