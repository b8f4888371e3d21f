package scan

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
	"unicode"
)

// maxOutput bounds the size of a report, in bytes. Those of large images have some tens of megabytes.
const maxOutput = 512 << 20

// A run says how commands are run.
type run struct {
	dir     string   // the working directory
	environ []string // "NAME=value"
}

// missingError means that a program is not installed.
type missingError struct{ program string }

func (e *missingError) Error() string { return e.program + " is not installed" }

// command runs a program with additional environment variables, and returns what it wrote to stdout. It is an error if
// the program cannot be run, has not ended when ctx ends, or ends with a status that is not 0 and for which ok, which may
// be nil, returns false. The error then has the last line that the program wrote to stderr.
func (r run) command(ctx context.Context, ok func(status int) bool, env []string, program string, args ...string) ([]byte, error) {
	name := r.find(program)
	if name == "" {
		return nil, &missingError{program}
	}
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = r.dir, slices.Concat(r.environ, env)
	// On SIGTERM, unlike SIGKILL, a scanner removes the files that it unpacked.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 3 * time.Second
	stdout, stderr := &limited{max: maxOutput}, &tail{}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case stdout.over:
		return nil, fmt.Errorf("its output is larger than %d MB", maxOutput>>20)
	case err == nil:
		return stdout.Bytes(), nil
	case errors.As(err, &exit) && exit.Exited():
		if ok != nil && ok(exit.ExitCode()) {
			return stdout.Bytes(), nil
		}
		return nil, fmt.Errorf("failed with exit status %d%s", exit.ExitCode(), stderr.last())
	}
	return nil, fmt.Errorf("could not be run: %w%s", err, stderr.last())
}

// find returns the path of a program, "" if there is none. It uses the PATH of r.environ and not that of this process.
func (r run) find(program string) string {
	path := ""
	for _, pair := range r.environ {
		if value, ok := strings.CutPrefix(pair, "PATH="); ok {
			path = value
		}
	}
	for _, dir := range filepath.SplitList(path) {
		if !filepath.IsAbs(dir) {
			continue // relative to the repository, whose programs must not be run
		}
		name := filepath.Join(dir, program)
		if found, err := exec.LookPath(name); err == nil {
			return found
		}
	}
	return ""
}

// read returns the report that a scanner wrote to a file.
func (r run) read(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, errors.New("wrote no report")
	}
	if info.Size() > maxOutput {
		return nil, fmt.Errorf("its report is larger than %d MB", maxOutput>>20)
	}
	return os.ReadFile(name)
}

// limited is a buffer with a maximal size.
type limited struct {
	bytes.Buffer
	max  int  // bytes
	over bool // more was written, which is lost
}

func (l *limited) Write(p []byte) (int, error) {
	if l.over || l.Len()+len(p) > l.max {
		l.over = true
		return 0, errors.New("too much")
	}
	return l.Buffer.Write(p)
}

// tail is a writer that keeps the last 4 KiB of what is written.
type tail struct{ end []byte }

func (t *tail) Write(p []byte) (int, error) {
	const keep = 4 << 10
	t.end = append(t.end, p...)
	if len(t.end) > keep {
		t.end = bytes.Clone(t.end[len(t.end)-keep:])
	}
	return len(p), nil
}

// last returns the last line that is not empty as the end of an error message, ": LINE", or "" if there is none.
func (t *tail) last() string {
	lines := strings.Split(string(t.end), "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		line := strings.TrimSpace(strings.Map(func(r rune) rune {
			if r == unicode.ReplacementChar || unicode.IsControl(r) {
				return ' '
			}
			return r
		}, lines[i]))
		if line == "" {
			continue
		}
		const enough = 300
		if runes := []rune(line); len(runes) > enough {
			line = string(runes[:enough]) + "…"
		}
		return ": " + line
	}
	return ""
}
