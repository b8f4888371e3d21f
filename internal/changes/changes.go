// Package changes reads change sets: which paths each commit changed, and to which
// content.
//
// [History] streams the commits on the first-parent line of a repository, oldest
// first. A merge is compared with its first parent, so each [Commit] stands for one
// build of the main branch. Content is identified by its object id and never read.
// A [Log] keeps a history in the compact form that a replay needs. Paths are relative
// to the root of the repository.
//
// Commits and logs are immutable once they are returned.
package changes

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/stokerd/stoker/internal/git"
)

// A Commit is a commit with the paths that it changed.
type Commit struct {
	ID      string    // full object id
	Time    time.Time // when it was committed, in UTC
	Changes []Change
	parent  string // id of the first parent; "" if it has none
}

// A Change is one path that differs between a commit and its first parent.
type Change struct {
	Path     string
	Old, New Entry
}

// An Entry is what a path had in a commit. It is zero if the commit does not have the path.
type Entry struct {
	Mode uint32 // as in git: 0o100644, 0o100755, 0o120000 for a link, 0o160000 for a submodule
	OID  string // full object id of the content
}

// Exists reports whether the commit has the path.
func (e Entry) Exists() bool { return e.Mode != 0 }

// tokenLimit is the longest path in bytes that is accepted in git's output.
const tokenLimit = 1 << 20

// History yields the last n commits on HEAD's first-parent line, oldest first. It reads
// them as git prints them, so that memory depends on the largest commit and not on the
// length of the history. It ends after the first error, which wraps one of the errors of
// package git or says what is wrong with git's output. In a shallow clone
// (git.Head.Shallow), the oldest commit is yielded as if it had added all of its files.
func History(ctx context.Context, repo *git.Repo, n int) iter.Seq2[Commit, error] {
	return read(ctx, repo, n, "HEAD")
}

// since yields the last commits on HEAD's first-parent line that are not reachable from
// the commit last, at most n.
func since(ctx context.Context, repo *git.Repo, last string, n int) iter.Seq2[Commit, error] {
	return read(ctx, repo, n, "HEAD", "^"+last)
}

// read yields at most n commits of the given revisions.
func read(ctx context.Context, repo *git.Repo, n int, revisions ...string) iter.Seq2[Commit, error] {
	return func(yield func(Commit, error) bool) {
		args := append([]string{
			"log", "--first-parent", "-m", "--raw", "-z", "--root", "--reverse", "--no-use-mailmap",
			"--no-show-signature", "--max-count=" + strconv.Itoa(n), "--format=tformat:%x01%H %ct %P",
		}, git.DiffFlags()...)
		out, err := repo.Stream(ctx, append(append(args, revisions...), "--")...)
		if err != nil {
			yield(Commit{}, fmt.Errorf("read the history: %w", err))
			return
		}
		stopped, err := parse(out, yield)
		cerr := out.Close()
		if stopped {
			return
		}
		if cerr != nil {
			err = cerr // if git fails, its output ends early, but its own error says why
		}
		if err != nil {
			yield(Commit{}, fmt.Errorf("read the history: %w", err))
		}
	}
}

// parse yields the commits in git's output, which with -z is a sequence of
// tokens: "\x01<id> <time> <parents>", then for each path ":<modes> <ids> <letter>"
// and the path itself. It reports whether yield returned false.
func parse(out io.Reader, yield func(Commit, error) bool) (stopped bool, err error) {
	sc := bufio.NewScanner(out)
	sc.Buffer(make([]byte, 64<<10), tokenLimit)
	sc.Split(splitNUL)
	var current Commit
	for sc.Scan() {
		token := strings.TrimPrefix(sc.Text(), "\n")
		switch {
		case strings.HasPrefix(token, "\x01"):
			if current.ID != "" && !yield(current, nil) {
				return true, nil
			}
			if current, err = parseHeader(token[1:]); err != nil {
				return false, err
			}
		case strings.HasPrefix(token, ":") && current.ID != "":
			c, err := parseEntry(token[1:])
			if err != nil {
				return false, err
			}
			if !sc.Scan() {
				return false, fmt.Errorf("git's output breaks off in commit %s: %w", current.ID, io.ErrUnexpectedEOF)
			}
			c.Path = sc.Text()
			current.Changes = append(current.Changes, c)
		case token == "":
		default:
			return false, fmt.Errorf("unexpected %.40q in git's output", token)
		}
	}
	if err := sc.Err(); err != nil {
		return false, err
	}
	if current.ID != "" && !yield(current, nil) {
		return true, nil
	}
	return false, nil
}

// splitNUL is a [bufio.SplitFunc] for tokens that end in NUL.
func splitNUL(data []byte, atEOF bool) (advance int, token []byte, err error) {
	if i := bytes.IndexByte(data, 0); i >= 0 {
		return i + 1, data[:i], nil
	}
	if atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}

// parseHeader parses "<id> <time> <parents>".
func parseHeader(text string) (Commit, error) {
	id, rest, ok := strings.Cut(text, " ")
	seconds, parents, _ := strings.Cut(rest, " ")
	at, err := strconv.ParseInt(seconds, 10, 64)
	if !ok || id == "" || err != nil {
		return Commit{}, fmt.Errorf("unexpected commit %.60q in git's output", text)
	}
	parent, _, _ := strings.Cut(parents, " ")
	return Commit{ID: id, Time: time.Unix(at, 0).UTC(), parent: parent}, nil
}

// parseEntry parses "<mode> <mode> <id> <id> <letter>", of a change whose path is not in there.
func parseEntry(text string) (Change, error) {
	f := strings.Fields(text)
	if len(f) != 5 {
		return Change{}, fmt.Errorf("unexpected change %.120q in git's output", text)
	}
	var c Change
	for i, e := range []*Entry{&c.Old, &c.New} {
		mode, err := strconv.ParseUint(f[i], 8, 32)
		if err != nil {
			return Change{}, fmt.Errorf("unexpected mode %.20q in git's output", f[i])
		}
		if mode != 0 {
			*e = Entry{Mode: uint32(mode), OID: f[i+2]}
		}
	}
	return c, nil
}
