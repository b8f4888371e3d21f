package ipc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
)

// Dial connects to the user's daemon. It fails with [ErrNoDaemon] if there is
// none, with [ErrNotReady] if there is one that does not answer, and with
// [ErrForeign] if what answers is not this user's.
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

// sameUser asks the kernel who is at the other end.
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
	return judge(uid)
}

// judge says whether this process talks to one of user uid: itself, and root,
// who can do anything already.
func judge(uid int) error {
	if uid != 0 && uid != os.Getuid() {
		return fmt.Errorf("%w (uid %d)", ErrForeign, uid)
	}
	return nil
}
