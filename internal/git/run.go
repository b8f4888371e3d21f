package git

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// hardening switches off, before any subcommand, what a repository's
// configuration could make git run.
var hardening = []string{
	"--no-pager",
	"-c", "core.fsmonitor=false",
	"-c", "core.hooksPath=/dev/null",
	"-c", "log.showSignature=false",
	"-c", "protocol.allow=never",
	"-c", "credential.helper=",
}

// DiffFlags belong to every call that compares trees: no external diff, no
// text converter, and nothing of the user's settings that changes the output.
func DiffFlags() []string {
	return []string{
		"--no-ext-diff", "--no-textconv", "--no-renames", "--no-abbrev", "--no-color",
		"--no-relative", "--ignore-submodules=none", "--submodule=short",
	}
}

// keptVariables are the GIT_ variables that only the user's own installation
// depends on; all others would aim git at another repository, configuration or
// program, and are dropped.
var keptVariables = []string{"GIT_EXEC_PATH", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM"}

// environment returns the variables for git: environ without what could
// redirect it.
func environment(environ []string, ceiling string) []string {
	var env []string
	for _, kv := range environ {
		name, _, _ := strings.Cut(kv, "=")
		upper := strings.ToUpper(name)
		if strings.HasPrefix(upper, "GIT_") && !slices.Contains(keptVariables, upper) || strings.HasPrefix(upper, "LC_") ||
			upper == "LANG" || upper == "LANGUAGE" || upper == "SSH_ASKPASS" {
			continue
		}
		env = append(env, kv)
	}
	return append(env,
		"LC_ALL=C",
		"GIT_OPTIONAL_LOCKS=0",
		"GIT_TERMINAL_PROMPT=0",
		"GIT_NO_LAZY_FETCH=1",
		// Before GIT_NO_LAZY_FETCH existed (git 2.44), a partial clone would
		// fetch what it lacks through a transport that its configuration names.
		// A list with no protocol in it allows none.
		"GIT_ALLOW_PROTOCOL=none",
		"GIT_PROTOCOL_FROM_USER=0",
		"GIT_CEILING_DIRECTORIES="+ceiling,
	)
}

// command prepares git with args in the repository.
func (r *Repo) command(ctx context.Context, args []string) *exec.Cmd {
	full := append([]string{"-C", r.root, "--work-tree=" + r.root}, hardening...)
	cmd := exec.CommandContext(ctx, r.bin, append(full, args...)...)
	cmd.Env = r.env
	// A grandchild that holds the pipe must not hold up the caller.
	cmd.WaitDelay = 2 * time.Second
	return cmd
}

// Run runs a git subcommand and returns what it printed. args[0] is the
// subcommand; a caller that compares trees adds [DiffFlags].
func (r *Repo) Run(ctx context.Context, args ...string) ([]byte, error) {
	cmd := r.command(ctx, args)
	var stdout bytes.Buffer
	stderr := &limited{max: 8 << 10}
	cmd.Stdout, cmd.Stderr = &stdout, stderr
	if err := cmd.Run(); err != nil {
		return nil, r.failure(ctx, args[0], stderr.String(), err)
	}
	return stdout.Bytes(), nil
}

// Stream starts a git subcommand and returns its output to be read while it
// runs. Close ends the command if it still runs, and returns its error unless
// the caller stopped reading early.
func (r *Repo) Stream(ctx context.Context, args ...string) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancel(ctx)
	cmd := r.command(ctx, args)
	stderr := &limited{max: 8 << 10}
	cmd.Stderr = stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		cancel()
		return nil, r.failure(ctx, args[0], "", err)
	}
	return &stream{out: out, cmd: cmd, cancel: cancel, fail: func(err error) error {
		return r.failure(ctx, args[0], stderr.String(), err)
	}}, nil
}

// failure explains why a command failed; a cancelled context wins over the
// signal that it sent.
func (r *Repo) failure(ctx context.Context, command, stderr string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
		return ErrNoGit
	}
	return classify(command, stderr, err)
}

// A stream is the output of a running command.
type stream struct {
	out    io.Reader
	cmd    *exec.Cmd
	cancel context.CancelFunc
	fail   func(error) error
	ended  bool // the output was read to its end
}

func (s *stream) Read(p []byte) (int, error) {
	n, err := s.out.Read(p)
	if errors.Is(err, io.EOF) {
		s.ended = true
	}
	return n, err
}

func (s *stream) Close() error {
	if !s.ended {
		s.cancel()
		_ = s.cmd.Wait() // killed on purpose; its status says nothing
		return nil
	}
	defer s.cancel()
	if err := s.cmd.Wait(); err != nil {
		return s.fail(err)
	}
	return nil
}

// limited keeps the first max bytes written to it.
type limited struct {
	buf bytes.Buffer
	max int
}

func (l *limited) Write(p []byte) (int, error) {
	if room := l.max - l.buf.Len(); room > 0 {
		l.buf.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

func (l *limited) String() string { return l.buf.String() }
