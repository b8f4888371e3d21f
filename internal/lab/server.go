package lab

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

const (
	// startLimit is generous for a busy CI machine; a start takes well under a second.
	startLimit = time.Minute
	// stopLimit bounds an orderly stop, which waits for clients that hold a stream open.
	stopLimit = 5 * time.Second
	// pollEvery is short against a start, since each test process waits for one.
	pollEvery = 10 * time.Millisecond
)

// server is the process of a server of the lab.
type server struct {
	cmd *exec.Cmd
	// done is closed when the process has been waited for; err is set before that.
	done chan struct{}
	err  error
}

// serve starts a server in namespaces of its own and returns when it answers at its socket.
func serve(ctx context.Context, cmd *exec.Cmd, socket string, answers func(context.Context) bool) (*server, error) {
	s := &server{cmd: cmd, done: make(chan struct{})}
	if err := s.run(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	if err := s.ready(ctx, socket, answers); err != nil {
		s.stop(true)
		return nil, err
	}
	return s, nil
}

// run starts the process on a thread that lives as long as the process does: the kernel sends a
// parent-death signal when the *thread* that started the child ends (prctl(2)).
func (s *server) run() error {
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(s.done)
		if s.err = s.cmd.Start(); s.err != nil {
			started <- s.err
			return
		}
		started <- nil
		s.err = s.cmd.Wait()
	}()
	return <-started
}

// ready returns when the server answers.
func (s *server) ready(ctx context.Context, socket string, answers func(context.Context) bool) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		if conn, err := net.Dial("unix", socket); err == nil {
			conn.Close()
			if answers(ctx) {
				return nil
			}
		}
		select {
		case <-tick.C:
		case <-s.done:
			return errors.Join(errors.New("it ended"), s.err)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// stop ends the server and everything in its namespaces, and waits for that. Without kill it first
// gets time to write its databases, and to take down its containers.
func (s *server) stop(kill bool) {
	if !kill {
		_ = s.cmd.Process.Signal(syscall.SIGTERM) // fails only if it has ended
		select {
		case <-s.done:
			return
		case <-time.After(stopLimit):
		}
	}
	_ = s.cmd.Process.Kill()
	<-s.done
}

// tail returns the end of a log, where the cause of an early death stands.
func tail(path string) []byte {
	b, err := os.ReadFile(path)
	if err != nil {
		return []byte(err.Error())
	}
	lines := bytes.Split(bytes.TrimSpace(b), []byte("\n"))
	return bytes.Join(lines[max(0, len(lines)-15):], []byte("\n"))
}
