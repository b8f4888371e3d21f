package ipc

import "golang.org/x/sys/unix"

// peer returns the uid of the process at the other end of the socket fd (unix(7),
// SO_PEERCRED).
func peer(fd uintptr) (int, error) {
	cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return 0, err
	}
	return int(cred.Uid), nil
}
