package git

import (
	"errors"
	"fmt"
	"strings"
)

// Why there is no history to read. Test with errors.Is.
var (
	// ErrNoGit: there is no git command on the PATH.
	ErrNoGit = errors.New("the git command was not found: install git, or put it on the PATH")
	// ErrNotRepository: the directory is in no git work tree.
	ErrNotRepository = errors.New("not inside a git repository")
	// ErrUnsafe: the repository belongs to another user, and git refuses it.
	ErrUnsafe = errors.New("git refuses this repository because another user owns it: " +
		"add it with `git config --global --add safe.directory`, if you trust it")
	// ErrNoCommits: the branch has no commit yet.
	ErrNoCommits = errors.New("no commit yet")
	// ErrMissing: an object or path that was asked for is not there.
	ErrMissing = errors.New("not in the repository")
)

// A CommandError is a git command that failed.
type CommandError struct {
	Command string // the subcommand: "log"
	Stderr  string // what git said, trimmed; at most some kilobytes
	Err     error
}

func (e *CommandError) Error() string {
	if e.Stderr == "" {
		return fmt.Sprintf("git %s: %v", e.Command, e.Err)
	}
	first, _, _ := strings.Cut(e.Stderr, "\n")
	return fmt.Sprintf("git %s: %s", e.Command, strings.TrimPrefix(first, "fatal: "))
}

func (e *CommandError) Unwrap() error { return e.Err }

// classify maps what git says about a whole repository to the sentinels.
// Messages are stable because every call sets LC_ALL=C.
func classify(command, stderr string, err error) error {
	stderr = strings.TrimSpace(stderr)
	ce := &CommandError{Command: command, Stderr: stderr, Err: err}
	switch {
	case strings.Contains(stderr, "dubious ownership"):
		ce.Err = ErrUnsafe
	case strings.Contains(stderr, "not a git repository"):
		ce.Err = ErrNotRepository
	case strings.Contains(stderr, "does not have any commits yet"),
		strings.Contains(stderr, "bad revision 'HEAD'"):
		ce.Err = ErrNoCommits
	default:
		return ce
	}
	return ce.Err
}
