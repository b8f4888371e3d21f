//go:build !unix

package ipc

import "syscall"

// detached has nothing to set where there are no sessions.
func detached() *syscall.SysProcAttr { return nil }

// Readiness has no line to whoever spawned this process here: descriptors are
// not inherited. Start the daemon with --foreground.
func Readiness() *Ready { return &Ready{} }
