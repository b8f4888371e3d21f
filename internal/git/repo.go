package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A Repo is a git work tree. Make one with [Open]. It is immutable and safe for
// concurrent use.
type Repo struct {
	root    string
	bin     string   // absolute path of the git command
	env     []string // its environment
	shallow bool
}

// Open opens the work tree around dir: the nearest folder, upwards from dir, that has a
// `.git`, which is a file in a submodule or a linked work tree. It checks that git
// accepts the repository. The error is or wraps [ErrNoGit], [ErrNotRepository] or
// [ErrUnsafe] in those cases.
func Open(ctx context.Context, dir string) (*Repo, error) {
	bin, err := exec.LookPath("git")
	if err != nil {
		return nil, ErrNoGit
	}
	if bin, err = filepath.Abs(bin); err != nil {
		return nil, fmt.Errorf("find git: %w", err)
	}
	root, err := workTree(dir)
	if err != nil {
		return nil, err
	}
	r := &Repo{root: root, bin: bin, env: environment(os.Environ(), filepath.Dir(root))}
	out, err := r.Run(ctx, "rev-parse", "--git-dir", "--is-shallow-repository")
	if err != nil {
		return nil, err
	}
	r.shallow = strings.HasSuffix(string(out), "\ntrue\n")
	return r, nil
}

// workTree returns the root of the work tree around dir, links resolved. It does not ask
// git, since core.worktree in the repository's configuration could name any folder.
func workTree(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("find the repository: %w", err)
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Lstat(filepath.Join(at, ".git")); err == nil {
			return at, nil
		}
		if at == filepath.Dir(at) {
			return "", fmt.Errorf("%s: %w", dir, ErrNotRepository)
		}
	}
}

// Shallow reports whether, when it was opened, the repository had a part of the history only.
func (r *Repo) Shallow() bool { return r.shallow }

// Root returns the absolute path of the work tree, links resolved.
func (r *Repo) Root() string { return r.root }

// A Head is the state of a work tree's HEAD.
type Head struct {
	Branch  string // short name; "" when detached
	Commit  string // full object id; "" when the branch has no commit yet
	Shallow bool   // the history is incomplete, from a shallow clone
}

// String formats h as `status` shows it: "main@3f2c1d9", "3f2c1d9" when
// detached, "main (no commit yet)".
func (h Head) String() string {
	short := h.Commit[:min(7, len(h.Commit))]
	switch {
	case h.Commit == "":
		return h.Branch + " (no commit yet)"
	case h.Branch == "":
		return short
	}
	return h.Branch + "@" + short
}

// Head returns the state of HEAD. A branch without commits is not an error.
func (r *Repo) Head(ctx context.Context) (Head, error) {
	var h Head
	out, err := r.Run(ctx, "symbolic-ref", "--quiet", "--short", "HEAD")
	switch {
	case err == nil:
		h.Branch = strings.TrimSpace(string(out))
	case !isQuietFailure(err):
		return Head{}, err
	}
	out, err = r.Run(ctx, "rev-parse", "--is-shallow-repository", "--verify", "--quiet", "HEAD^{commit}")
	if isQuietFailure(err) {
		return h, nil // there is no commit yet, so the history cannot be shallow
	}
	if err != nil {
		return Head{}, err
	}
	for _, line := range strings.Fields(string(out)) {
		switch line {
		case "true":
			h.Shallow = true
		case "false":
		default:
			h.Commit = line
		}
	}
	return h, nil
}

// isQuietFailure reports whether err is of a command that was called with --quiet, and
// that answered "no" by its exit status.
func isQuietFailure(err error) bool {
	var ce *CommandError
	return errors.As(err, &ce) && ce.Stderr == ""
}

// Dirty reports whether the file at path (relative to the root, slash-separated)
// differs from HEAD, in the index or on disk. A file that is not in HEAD is dirty. The
// bytes are compared directly, since `git status` would run filters that the repository
// names. Line endings, which core.autocrlf may have changed, do not count.
func (r *Repo) Dirty(ctx context.Context, path string) (bool, error) {
	b, err := r.Batch(ctx)
	if err != nil {
		return false, err
	}
	defer func() { _ = b.Close() }() // what was read is complete whatever it returns
	committed, err := b.Read("HEAD:" + path)
	if errors.Is(err, ErrMissing) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	staged, err := b.Read(":" + path)
	if errors.Is(err, ErrMissing) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	if staged.OID != committed.OID {
		return true, nil
	}
	disk, err := os.ReadFile(filepath.Join(r.root, filepath.FromSlash(path)))
	if errors.Is(err, os.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("compare %s with HEAD: %w", path, err)
	}
	return !bytes.Equal(unixLines(disk), unixLines(committed.Data)), nil
}

// unixLines returns text with LF in place of CRLF.
func unixLines(text []byte) []byte { return bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")) }
