package ipc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

const (
	// readyEnv is the variable with the number of the file descriptor on which a
	// child reports the result of its start.
	readyEnv = "STOKER_READY_FD"
	// readyWord is what a child reports when it serves; anything else is an error.
	readyWord = "ready\n"
	// maxLog is the size in bytes above which a log is renamed to NAME.old.
	maxLog = 4 << 20
	// maxTail is how many bytes of a child's log go into an error.
	maxTail = 2048
)

// A Command says how to start a daemon in the background.
type Command struct {
	Path string   // the program
	Args []string // its arguments, without the program's name
	Log  string   // the file to which its output is appended; created with mode 0600
}

// Spawn starts the daemon in a session of its own. It returns nil once the daemon
// serves (see [Ready]), else the reason why it does not, which wraps [ErrRunning] if
// another one was first. If ctx ends before, Spawn returns and the daemon goes on
// starting.
func Spawn(ctx context.Context, c Command) error {
	log, begin, err := openLog(c.Log)
	if err != nil {
		return err
	}
	defer log.Close()
	r, w, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("start the daemon: %w", err)
	}
	defer r.Close()
	cmd := c.detached(log, w)
	err = cmd.Start()
	_ = w.Close() // only the child has it now, so that its death ends the pipe
	if err != nil {
		return fmt.Errorf("start the daemon: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = r.SetReadDeadline(time.Unix(1, 0)) }) // unblocks ReadAll
	defer stop()
	said, err := io.ReadAll(r)
	switch {
	case string(said) == readyWord:
		return cmd.Process.Release()
	case err != nil:
		return fmt.Errorf("the daemon (pid %d) is not ready yet, its log is %s: %w", cmd.Process.Pid, c.Log, errors.Join(ctx.Err(), cmd.Process.Release()))
	}
	_ = cmd.Wait() // it is ending, and what it said is more than its status
	if len(said) == 0 {
		said = readFrom(c.Log, begin)
	}
	if len(said) == 0 {
		said = []byte("it ended without a word, see " + c.Log)
	}
	return startError(strings.TrimSpace(string(said)))
}

// detached returns the command as one that outlives this process. Its output goes to
// log, and ready becomes its descriptor 3.
func (c Command) detached(log, ready *os.File) *exec.Cmd {
	cmd := exec.Command(c.Path, c.Args...) // not CommandContext, which would kill it
	cmd.Dir = string(os.PathSeparator)     // so that no file system is kept busy
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{ready}
	cmd.Env = append(os.Environ(), readyEnv+"=3")
	cmd.SysProcAttr = ownSession()
	return cmd
}

// startError returns what a child said about its start as an error, which wraps
// [ErrRunning] if its text has that.
func startError(said string) error {
	if before, after, lost := strings.Cut(said, ErrRunning.Error()); lost {
		return fmt.Errorf("the daemon did not start: %s%w%s", before, ErrRunning, after)
	}
	return fmt.Errorf("the daemon did not start: %s", said)
}

// openLog opens a log for appending, and returns its size.
func openLog(name string) (*os.File, int64, error) {
	if info, err := os.Stat(name); err == nil && info.Size() > maxLog {
		if err := os.Rename(name, name+".old"); err != nil {
			return nil, 0, fmt.Errorf("rotate the daemon's log: %w", err)
		}
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, 0, fmt.Errorf("open the daemon's log: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(fmt.Errorf("open the daemon's log: %w", err), f.Close())
	}
	return f, info.Size(), nil
}

// readFrom returns what a child wrote to a log from the offset begin on, or the last
// maxTail bytes of that.
func readFrom(name string, begin int64) []byte {
	f, err := os.Open(name)
	if err != nil {
		return nil
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil {
		begin = max(begin, info.Size()-maxTail)
	}
	tail, _ := io.ReadAll(io.NewSectionReader(f, begin, maxTail)) // as much as can be read
	return tail
}

// Ready reports the result of this process's start to the one that spawned it. Get it
// from [Readiness]. The zero value reports to nobody. Only the first report counts.
type Ready struct{ pipe *os.File }

// Done reports that this process serves.
func (r *Ready) Done() { r.say(readyWord) }

// Fail reports why this process does not serve.
func (r *Ready) Fail(err error) { r.say(err.Error()) }

func (r *Ready) say(text string) {
	if r.pipe == nil {
		return
	}
	// An error means that the other process no longer waits.
	_, _ = io.WriteString(r.pipe, text)
	_ = r.pipe.Close()
	r.pipe = nil
}
