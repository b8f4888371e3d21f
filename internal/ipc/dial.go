package ipc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
)

// Dial connects to the user's daemon, wherever its socket is. The error is or wraps
// [ErrNoDaemon] if none runs, [ErrNotReady] if one runs and does not answer, and
// [ErrForeign] if the process that answers belongs to another user.
func Dial(ctx context.Context, p Paths) (net.Conn, error) {
	conn, err := dial(ctx, p.Socket)
	if err == nil || errors.Is(err, ErrForeign) || ctx.Err() != nil {
		return conn, err
	}
	info, held, holderErr := Holder(p)
	switch {
	case holderErr != nil:
		return nil, errors.Join(err, holderErr)
	case !held:
		return nil, ErrNoDaemon
	case info.Socket != "" && info.Socket != p.Socket:
		if conn, err = dial(ctx, info.Socket); err == nil || errors.Is(err, ErrForeign) {
			return conn, err
		}
	}
	return nil, fmt.Errorf("%w (pid %d): %w", ErrNotReady, info.PID, err)
}

// dial connects to a socket, if its other end belongs to this user or root.
func dial(ctx context.Context, socket string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, err
	}
	if err := sameUser(conn.(*net.UnixConn)); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// sameUser returns [ErrForeign] if the process at the other end belongs to a user
// whom this process does not talk to.
func sameUser(conn *net.UnixConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return fmt.Errorf("ask who is connected: %w", err)
	}
	var uid int
	var peerErr error
	if err := raw.Control(func(fd uintptr) { uid, peerErr = peer(fd) }); err != nil {
		return fmt.Errorf("ask who is connected: %w", err)
	}
	if peerErr != nil {
		return fmt.Errorf("ask who is connected: %w", peerErr)
	}
	return checkUID(uid)
}

// checkUID returns [ErrForeign] unless uid is this user's, or root's, who has all
// rights anyway.
func checkUID(uid int) error {
	if uid != 0 && uid != os.Getuid() {
		return fmt.Errorf("%w (uid %d)", ErrForeign, uid)
	}
	return nil
}
