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

// GuardInterval is how often a daemon looks whether its socket is still there:
// cleaners of temporary files delete those that look old. One lstat in five
// seconds costs an idle daemon nothing that can be measured.
const GuardInterval = 5 * time.Second

// A Listener accepts connections of the daemon's own user, and of root, on a
// socket that it puts back when somebody deletes it. Make one with
// [Lock.Listen]. It is a net.Listener.
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

// Listen makes the socket, removing one that a killed daemon left. Close it
// before the lock is released.
func (l *Lock) Listen() (*Listener, error) {
	ln := &Listener{paths: l.paths, stop: make(chan struct{})}
	if err := ln.bindLocked(); err != nil {
		return nil, err
	}
	ln.guard.Go(ln.watch)
	return ln, nil
}

// Accept waits for the next connection of somebody who may connect.
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
			_ = conn.Close() // a stranger is owed no answer
		case !l.replaced(inner):
			return nil, err
		}
	}
}

// Addr returns the socket's address.
func (l *Listener) Addr() net.Addr { return &net.UnixAddr{Name: l.paths.Socket, Net: "unix"} }

// Close removes the socket, ends Accept and joins the guard. It may be called
// again.
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

// restore puts the socket back if it is not the one that was made.
// Connections that were accepted before go on.
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

// bindLocked makes the socket and makes it the current one.
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
	// The folder is private, so nobody can come in before the mode is set.
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

// replaced reports whether Accept failed only because the socket was put back.
func (l *Listener) replaced(inner *net.UnixListener) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.closed && l.inner != inner
}

// watch restores the socket until Close. What goes wrong, a full disk say, is
// tried again at the next tick.
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
