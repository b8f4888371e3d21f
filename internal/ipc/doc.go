// Package ipc lets the stoker processes of one user find each other. It has the
// locations of socket and state, the lock that ensures that there is one daemon,
// the socket itself, and the start of a daemon in the background.
//
// The lock is what counts. It is in the state folder, beside the store that it
// guards, and names the socket of its holder, so that a shell with another
// XDG_RUNTIME_DIR finds the same daemon. Only the holder of the lock creates or
// removes the socket. A socket that a killed daemon left can therefore be removed
// without asking. When a process ends, the kernel releases its lock.
//
// Both ends of a connection belong to the same user, or to root. The folders
// belong to the user and have mode 0700, the socket has 0600, and each side asks
// the kernel who the other is.
package ipc

import "errors"

// The reasons why a daemon cannot be reached or started. Test with errors.Is.
var (
	// ErrNoDaemon means that no process holds the lock.
	ErrNoDaemon = errors.New("no stoker daemon is running")
	// ErrNotReady means that a process holds the lock but does not answer. It may be
	// starting or stopping, or its socket was deleted, which it restores within
	// [GuardInterval]. It is worth trying again.
	ErrNotReady = errors.New("the stoker daemon does not answer on its socket")
	// ErrRunning means that another process holds the lock.
	ErrRunning = errors.New("a stoker daemon is already running")
	// ErrForeign means that the process at the other end belongs to another user.
	ErrForeign = errors.New("the other end of the socket belongs to another user")
)
