//go:build unix

package ipc

import (
	"os"
	"strconv"
	"syscall"
)

// ownSession puts a child into a session of its own, so that neither Ctrl-C in the
// terminal nor its closing affects it.
func ownSession() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// Readiness returns the Ready for whoever spawned this process. It must be called once,
// before this process starts others: it keeps them from inheriting the descriptor.
func Readiness() *Ready {
	fd, err := strconv.Atoi(os.Getenv(readyEnv))
	if err != nil || fd < 3 {
		return &Ready{}
	}
	_ = os.Unsetenv(readyEnv)
	syscall.CloseOnExec(fd)
	return &Ready{pipe: os.NewFile(uintptr(fd), "ready")}
}
