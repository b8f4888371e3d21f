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

// readyEnv names the descriptor on which a child says how its start went.
const readyEnv = "STOKER_READY_FD"

// maxLog is the size beyond which a log is renamed to NAME.old, and a new one begun.
const maxLog = 4 << 20

// readyWord is what a child says when it serves; anything else is its error.
const readyWord = "ready\n"

// A Command says how a daemon is started in the background.
type Command struct {
	Path string   // the program
	Args []string // its arguments, the program's name apart
	Log  string   // file that its output is added to, 0600
}

// Spawn starts the daemon in a session of its own and returns once it serves
// (see [Ready]), or with the reason why it does not: [ErrRunning] where another
// was first. If ctx ends before that, the daemon is left to go on starting.
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
	// Not CommandContext: the daemon outlives whoever started it.
	cmd := exec.Command(c.Path, c.Args...)
	cmd.Dir = string(os.PathSeparator) // hold no folder busy
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{w}
	cmd.Env = append(os.Environ(), readyEnv+"=3")
	cmd.SysProcAttr = detached()
	err = cmd.Start()
	_ = w.Close() // so that the child's death ends the pipe
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
	_ = cmd.Wait() // it is ending; its words say more than its status
	if len(said) == 0 {
		said = readFrom(c.Log, begin)
	}
	text := strings.TrimSpace(string(said))
	if before, after, lost := strings.Cut(text, ErrRunning.Error()); lost {
		return fmt.Errorf("the daemon did not start: %s%w%s", before, ErrRunning, after)
	}
	return fmt.Errorf("the daemon did not start: %s", text)
}

// openLog opens a log for appending and returns where it ends.
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

// readFrom returns the end of what a child wrote to the log from begin on.
func readFrom(name string, begin int64) []byte {
	f, err := os.Open(name)
	if err != nil {
		return nil
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil {
		begin = max(begin, info.Size()-2048)
	}
	tail, _ := io.ReadAll(io.NewSectionReader(f, begin, 2048))
	if len(tail) == 0 {
		return []byte("it ended without a word, see " + name)
	}
	return tail
}

// Ready tells the process that started this one how its start went. Its zero
// value is for a process that nobody waits for.
type Ready struct{ pipe *os.File }

// Done says that this process serves.
func (r *Ready) Done() { r.say(readyWord) }

// Fail says why it will not.
func (r *Ready) Fail(err error) { r.say(err.Error()) }

func (r *Ready) say(text string) {
	if r.pipe == nil {
		return
	}
	// Whoever started us may have lost patience and gone.
	_, _ = io.WriteString(r.pipe, text)
	_ = r.pipe.Close()
	r.pipe = nil
}
