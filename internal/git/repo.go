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

// A Repo is a git work tree. Make one with [Open].
type Repo struct {
	root string
	bin  string
	env  []string
}

// Open finds the work tree around dir: the nearest folder upwards that holds
// `.git`, a directory or, in a submodule or linked work tree, a file. It asks
// git once whether it takes the repository. Errors: [ErrNoGit],
// [ErrNotRepository], [ErrUnsafe].
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
	if _, err := r.Run(ctx, "rev-parse", "--git-dir"); err != nil {
		return nil, err
	}
	return r, nil
}

// workTree looks for the root itself instead of asking git: core.worktree in
// the repository's configuration could name any folder.
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

// Root returns the absolute path of the work tree, links resolved.
func (r *Repo) Root() string { return r.root }

// A Head is where a work tree stands.
type Head struct {
	Branch  string // short name; "" when detached
	Commit  string // full object id; "" when the branch has no commit yet
	Shallow bool   // history was cut off by a shallow clone
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

// Head returns where HEAD stands. A branch without commits is no error.
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
		return h, nil // no commit yet, hence nothing that could be shallow
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

// isQuietFailure reports the plain "no" of a command called with --quiet.
func isQuietFailure(err error) bool {
	var ce *CommandError
	return errors.As(err, &ce) && ce.Stderr == ""
}

// Dirty reports whether the file at path (relative to the root,
// slash-separated) differs from HEAD, in the index or on disk; a file that HEAD
// does not have is dirty. Bytes are compared directly, since `git status`
// would run the clean filters that the repository names; line endings that
// core.autocrlf may have changed count as equal.
func (r *Repo) Dirty(ctx context.Context, path string) (bool, error) {
	b, err := r.Batch(ctx)
	if err != nil {
		return false, err
	}
	defer func() { _ = b.Close() }() // what was read is whole, or has failed
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

func unixLines(text []byte) []byte { return bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")) }
