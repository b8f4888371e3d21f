// Package changes reads change sets: which paths each commit changed, and what
// they became.
//
// [History] streams the first-parent line of a repository through git's
// plumbing, oldest first; a merge is compared with its first parent, so that
// every [Commit] is one build in the life of the main line. Content is known by
// object id and never read. Paths are relative to the repository's root.
//
// Values are immutable once yielded.
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

// A Commit is one point of the first-parent line and what it changed.
type Commit struct {
	ID      string
	Time    time.Time // when it was committed
	Changes []Change
	parent  string // the first; "" for a commit without
}

// A Change is one path that differs between a commit and its first parent.
type Change struct {
	Path     string
	Old, New Entry
}

// An Entry is what a path held. The zero Entry is a path that was not there.
type Entry struct {
	Mode uint32 // git's: 0o100644, 0o100755, 0o120000 a link, 0o160000 a submodule
	OID  string // full object id of the content
}

// Exists reports whether there was something at the path.
func (e Entry) Exists() bool { return e.Mode != 0 }

// tokenLimit bounds one path in git's output; longer ones are an error rather
// than memory.
const tokenLimit = 1 << 20

// History yields the last n commits of HEAD's first-parent line, oldest first.
// Commits are read as git prints them: memory follows the largest commit, not
// the history. It ends after the first error: one of git's sentinels, or what
// went wrong. A shallow clone yields what it has, its cut-off commit as if it
// had added every file (git.Head.Shallow tells).
func History(ctx context.Context, repo *git.Repo, n int) iter.Seq2[Commit, error] {
	return read(ctx, repo, n, "HEAD")
}

// since yields the commits of HEAD's first-parent line that are not reached
// from the commit last, n at most.
func since(ctx context.Context, repo *git.Repo, last string, n int) iter.Seq2[Commit, error] {
	return read(ctx, repo, n, "HEAD", "^"+last)
}

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
			err = cerr // what failed ends its output early; its own words explain more
		}
		if err != nil {
			yield(Commit{}, fmt.Errorf("read the history: %w", err))
		}
	}
}

// parse yields the commits in git's output, which with -z is a sequence of
// tokens: "\x01<id> <time> <parents>", then for each path ":<modes> <ids> <letter>"
// and the path itself. It reports whether the consumer had enough.
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

// splitNUL is a bufio.SplitFunc for tokens that end in NUL.
func splitNUL(data []byte, atEOF bool) (advance int, token []byte, err error) {
	if i := bytes.IndexByte(data, 0); i >= 0 {
		return i + 1, data[:i], nil
	}
	if atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}

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
