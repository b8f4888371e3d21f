package ipc

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"sync"
	"time"
)

// GuardInterval is how often a daemon checks that its socket still exists, since
// programs that clean up temporary files delete old ones. An lstat every five seconds
// has no measurable cost.
const GuardInterval = 5 * time.Second

// A Listener is a net.Listener for connections from the daemon's own user and from
// root. It restores its socket if somebody deletes it. Make one with [Lock.Listen].
type Listener struct {
	paths Paths
	stop  chan struct{}
	guard sync.WaitGroup

	mu     sync.Mutex // guards the fields that follow
	inner  *net.UnixListener
	file   fs.FileInfo // the socket as it was made
	closed bool
}

var _ net.Listener = (*Listener)(nil)

// Listen creates the socket, after removing one that a killed daemon may have left.
// The Listener must be closed before the lock is released.
func (l *Lock) Listen() (*Listener, error) {
	ln := &Listener{paths: l.paths, stop: make(chan struct{})}
	if err := ln.bindLocked(); err != nil {
		return nil, err
	}
	ln.guard.Go(ln.watch)
	return ln, nil
}

// Accept waits for the next connection. It closes connections from other users
// without an answer.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		l.mu.Lock()
		inner := l.inner
		l.mu.Unlock()
		conn, err := inner.AcceptUnix()
		switch {
		case err == nil && sameUser(conn) == nil:
			return conn, nil
		case err == nil:
			_ = conn.Close()
		case !l.replaced(inner):
			return nil, err
		}
	}
}

// Addr returns the socket's address.
func (l *Listener) Addr() net.Addr { return &net.UnixAddr{Name: l.paths.Socket, Net: "unix"} }

// Close removes the socket, makes Accept return, and waits for the goroutine that
// guards the socket. Calling it again does nothing.
func (l *Listener) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	close(l.stop)
	err := l.inner.Close()
	if removeErr := os.Remove(l.paths.Socket); !errors.Is(removeErr, fs.ErrNotExist) {
		err = errors.Join(err, removeErr)
	}
	l.mu.Unlock()
	l.guard.Wait()
	return err
}

// restore creates the socket again if it was deleted or replaced. Connections that
// were accepted before are not affected.
func (l *Listener) restore() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	if info, err := os.Lstat(l.paths.Socket); err == nil && os.SameFile(info, l.file) {
		return nil
	}
	old := l.inner
	if err := l.bindLocked(); err != nil {
		return err
	}
	return old.Close()
}

// bindLocked creates the socket and makes it the current one. The caller holds l.mu,
// except during construction.
func (l *Listener) bindLocked() error {
	if err := l.paths.Prepare(); err != nil {
		return err
	}
	path := l.paths.Socket
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the stale socket: %w", err)
	}
	inner, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return fmt.Errorf("listen on %s: %w", path, err)
	}
	inner.SetUnlinkOnClose(false) // it would remove the socket that replaced it
	// Until the mode is set, the private folder keeps others out.
	if err := os.Chmod(path, 0o600); err != nil {
		return errors.Join(fmt.Errorf("make the socket private: %w", err), inner.Close())
	}
	file, err := os.Lstat(path)
	if err != nil {
		return errors.Join(fmt.Errorf("look at the socket: %w", err), inner.Close())
	}
	l.inner, l.file = inner, file
	return nil
}

// replaced reports whether Accept on inner failed only because restore replaced it.
func (l *Listener) replaced(inner *net.UnixListener) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.closed && l.inner != inner
}

// watch restores the socket at every tick until Close. If that fails, because the disk
// is full for instance, it is tried again at the next tick.
func (l *Listener) watch() {
	tick := time.NewTicker(GuardInterval)
	defer tick.Stop()
	for {
		select {
		case <-l.stop:
			return
		case <-tick.C:
			_ = l.restore()
		}
	}
}
