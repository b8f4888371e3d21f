// Package ipc is how stoker's processes of one user find each other: where the
// socket and the state are, the lock that makes the daemon the only one, the
// socket itself, and the start of a daemon in the background.
//
// The lock decides. It lies in the state folder, beside the store that it
// guards, and names the socket of its holder; so a shell with another
// XDG_RUNTIME_DIR finds the same daemon. Only the holder of the lock removes or
// creates the socket, which is why a stale one (its daemon was killed) can be
// removed without asking. The kernel frees the lock with its process.
//
// Both ends of a connection belong to one user, or root: the folders are 0700
// and ours, the socket is 0600, and each side asks the kernel who the other is.
package ipc

import "errors"

// Why a daemon cannot be reached or cannot start. Test with errors.Is.
var (
	// ErrNoDaemon: nobody holds the lock.
	ErrNoDaemon = errors.New("no stoker daemon is running")
	// ErrNotReady: somebody holds the lock and does not answer: a daemon that
	// is starting or stopping, or whose socket was deleted. Worth a wait: a
	// daemon puts a deleted socket back within [GuardInterval].
	ErrNotReady = errors.New("the stoker daemon does not answer on its socket")
	// ErrRunning: the lock is taken.
	ErrRunning = errors.New("a stoker daemon is already running")
	// ErrForeign: the process at the other end belongs to another user.
	ErrForeign = errors.New("the other end of the socket belongs to another user")
)
