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

// hardening are options before the subcommand that switch off what a repository's
// configuration could make git run.
var hardening = []string{
	"--no-pager",
	"-c", "core.fsmonitor=false",
	"-c", "core.hooksPath=/dev/null",
	"-c", "log.showSignature=false",
	"-c", "protocol.allow=never",
	"-c", "credential.helper=",
}

// DiffFlags returns the flags that every command that compares trees needs: no external
// diff, no text converter, and no effect of the user's settings on the output.
func DiffFlags() []string {
	return []string{
		"--no-ext-diff", "--no-textconv", "--no-renames", "--no-abbrev", "--no-color",
		"--no-relative", "--ignore-submodules=none", "--submodule=short",
	}
}

// keptVariables are the GIT_ variables that are passed on, since they only concern the
// user's installation of git. Others could point git to another repository,
// configuration or program.
var keptVariables = []string{"GIT_EXEC_PATH", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM"}

// environment returns the environment for git: environ without variables that could
// redirect it. git does not look for repositories in ceiling or above.
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
		// Before git 2.44, which added GIT_NO_LAZY_FETCH, a partial clone fetches
		// what it lacks through a transport that its configuration names. This is a
		// list of allowed protocols, and there is none of that name.
		"GIT_ALLOW_PROTOCOL=none",
		"GIT_PROTOCOL_FROM_USER=0",
		"GIT_CEILING_DIRECTORIES="+ceiling,
	)
}

// command returns git with the given arguments, to be run in the repository.
func (r *Repo) command(ctx context.Context, args []string) *exec.Cmd {
	full := append([]string{"-C", r.root, "--work-tree=" + r.root}, hardening...)
	cmd := exec.CommandContext(ctx, r.bin, append(full, args...)...)
	cmd.Env = r.env
	// Do not wait for a grandchild that has the pipe open.
	cmd.WaitDelay = 2 * time.Second
	return cmd
}

// Run runs a git command and returns what it printed. args[0] is the subcommand. A
// command that compares trees needs [DiffFlags] as well.
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

// Stream is [Repo.Run] for output that is read while the command runs. Close returns the
// error of the command. If the output was not read to its end, Close kills the command
// and returns nil.
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

// failure returns the error for a command that failed with err. If ctx has ended, that is
// the reason, since it killed the command.
func (r *Repo) failure(ctx context.Context, command, stderr string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
		return ErrNoGit
	}
	return classify(command, stderr, err)
}

// A stream is the output of a command that is running.
type stream struct {
	out    io.Reader
	cmd    *exec.Cmd
	cancel context.CancelFunc
	fail   func(error) error // see Repo.failure
	ended  bool              // the output was read to its end
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

// A limited is a writer that keeps the first max bytes and drops the rest.
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
