package git

import (
	"errors"
	"fmt"
	"strings"
)

// The reasons why there is nothing to read. Test with errors.Is.
var (
	// ErrNoGit means that there is no git command in PATH.
	ErrNoGit = errors.New("the git command was not found: install git, or put it on the PATH")
	// ErrNotRepository means that a directory is not in a git work tree.
	ErrNotRepository = errors.New("not inside a git repository")
	// ErrUnsafe means that the repository belongs to another user, and git refuses it.
	ErrUnsafe = errors.New("git refuses this repository because another user owns it: " +
		"add it with `git config --global --add safe.directory`, if you trust it")
	// ErrNoCommits means that the branch has no commit yet.
	ErrNoCommits = errors.New("no commit yet")
	// ErrMissing means that an object, path or commit does not exist.
	ErrMissing = errors.New("not in the repository")
)

// A CommandError reports that a git command failed.
type CommandError struct {
	Command string // the subcommand, such as "log"
	Stderr  string // what git printed, trimmed; some kilobytes at most
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

// classify returns the error for a command that failed with err: the sentinel that its
// output means, or a [*CommandError]. Every command runs with LC_ALL=C, so that git's
// messages are always the same.
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
