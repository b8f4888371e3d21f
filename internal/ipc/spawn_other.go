//go:build !unix

package ipc

import "syscall"

// ownSession returns nil: these systems have no sessions.
func ownSession() *syscall.SysProcAttr { return nil }

// Readiness returns the zero Ready: a child inherits no descriptors here, so Spawn
// does not work, and the daemon has to be started with --foreground.
func Readiness() *Ready { return &Ready{} }
