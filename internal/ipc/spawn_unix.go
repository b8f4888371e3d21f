//go:build unix

package ipc

import (
	"os"
	"strconv"
	"syscall"
)

// detached puts the child into a session of its own, so that neither the
// terminal's Ctrl-C nor its closing reaches it.
func detached() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// Readiness returns the line to whoever spawned this process. Call it once, at
// the start: it takes the line out of reach of processes started later.
func Readiness() *Ready {
	fd, err := strconv.Atoi(os.Getenv(readyEnv))
	if err != nil || fd < 3 {
		return &Ready{}
	}
	_ = os.Unsetenv(readyEnv)
	syscall.CloseOnExec(fd)
	return &Ready{pipe: os.NewFile(uintptr(fd), "ready")}
}
