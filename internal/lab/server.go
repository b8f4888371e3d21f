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
	// stopLimit bounds an orderly stop, in which a server waits for clients that hold a stream open.
	stopLimit = 5 * time.Second
	// pollEvery is short compared with a start, because each test process waits for one.
	pollEvery = 10 * time.Millisecond
)

// server is a process that the lab started to serve at a socket.
type server struct {
	cmd *exec.Cmd
	// done is closed when the process has been waited for. err, which is set before that, is how
	// it ended.
	done chan struct{}
	err  error
}

// serve starts cmd and returns when it accepts connections at socket and answers returns true, for
// which it has startLimit. When serve fails, the process has ended.
func serve(ctx context.Context, cmd *exec.Cmd, socket string, answers func(context.Context) bool) (*server, error) {
	s := &server{cmd: cmd, done: make(chan struct{})}
	if err := s.run(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	if err := s.ready(ctx, socket, answers); err != nil {
		s.kill()
		return nil, err
	}
	return s, nil
}

// run starts the process, from a goroutine that keeps its thread until the process ends: the
// kernel sends a parent-death signal when the *thread* that started the child ends (prctl(2)).
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

// ready returns when the server answers. It fails if the server ends first, or ctx does.
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

// stop ends the server, which has stopLimit to write its databases and to take down its
// containers. Then stop kills it.
func (s *server) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM) // fails only if it has ended
	select {
	case <-s.done:
	case <-time.After(stopLimit):
		s.kill()
	}
}

// kill ends the server and everything in its namespaces at once, and waits for that.
func (s *server) kill() {
	_ = s.cmd.Process.Kill() // fails only if it has ended
	<-s.done
}

// tail returns the last lines of a log, which say why a server ended early. If the log cannot be
// read, it returns the text of that error.
func tail(path string) []byte {
	b, err := os.ReadFile(path)
	if err != nil {
		return []byte(err.Error())
	}
	lines := bytes.Split(bytes.TrimSpace(b), []byte("\n"))
	return bytes.Join(lines[max(0, len(lines)-15):], []byte("\n"))
}
