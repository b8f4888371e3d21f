package changes

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/stokerd/stoker/internal/git"
)

// A Log is a part of a first-parent line in the form that a replay reads: which paths
// each commit changed, and how. It takes some 30 bytes per change, however long the path
// is. It is immutable; [Extend] makes a new one from it. The zero Log, and nil, have no
// commits.
type Log struct {
	head    string            // id of the last commit
	paths   []string          // all that occur; that of a submodule ends in a slash
	number  map[string]uint32 // index in paths
	start   int               // index of the first commit's first delta
	whole   bool              // the first commit is the first one of the history
	commits []logged
	deltas  []Delta // of all commits, one after the other
	saves   bool    // these are observed saves and not commits
	shallow bool    // the clone had no more of the history
}

// logged is a commit of a log.
type logged struct {
	at  time.Time
	end int // index after its last delta
}

// A Delta is one change in a commit.
type Delta struct {
	Path uint32 // index in Log.Paths
	// Flip is the XOR of a hash of the old content of the path and one of the new. So the
	// XOR of all Flips so far, over any set of paths, identifies their content: if they
	// change back, it is the same again.
	Flip [2]uint64
}

// NewLog returns the log of some commits, which are given oldest first.
func NewLog(commits []Commit) *Log {
	l := &Log{number: map[string]uint32{}}
	for _, c := range commits {
		l.add(c)
	}
	return l
}

// Extend returns the log of the last n or more commits of HEAD. It reads only the commits
// that are not in known, an earlier log or nil, unless the history was rewritten, or may
// have been fetched from further back. Errors are those of [History].
func Extend(ctx context.Context, repo *git.Repo, known *Log, n int) (*Log, error) {
	shallow := repo.Shallow()
	if known != nil && (known.Len() >= n || known.whole) && known.shallow == shallow && known.head != "" {
		next, ok, err := known.follow(ctx, repo, n)
		if ok || err != nil {
			return next, err
		}
	}
	l := &Log{number: map[string]uint32{}, shallow: shallow}
	for c, err := range History(ctx, repo, n) {
		if err != nil {
			return l, err
		}
		l.add(c)
	}
	l.whole = l.Len() < n && !l.shallow
	return l, nil
}

// follow returns l with the commits after its last one, and false if these do not continue
// it, as after a rebase.
func (l *Log) follow(ctx context.Context, repo *git.Repo, n int) (*Log, bool, error) {
	head, err := repo.Head(ctx)
	if err != nil {
		return nil, false, err
	}
	if head.Commit == l.head {
		return l, true, nil
	}
	next := &Log{
		head: l.head, start: l.start, whole: l.whole, shallow: l.shallow, paths: slices.Clone(l.paths), number: maps.Clone(l.number),
		commits: slices.Clone(l.commits), deltas: slices.Clone(l.deltas),
	}
	var list []Commit
	for c, err := range since(ctx, repo, l.head, n) {
		if err != nil {
			return nil, false, nil // l.head may be gone; another error will come again in Extend
		}
		list = append(list, c)
	}
	if len(list) == 0 || list[0].parent != l.head {
		return nil, false, nil
	}
	for _, c := range list {
		next.add(c)
	}
	return next, true, nil
}

// add appends a commit. It is only for a log that nobody else has yet.
func (l *Log) add(c Commit) {
	for _, ch := range c.Changes {
		old, now := l.index(ch.Path, ch.Old), l.index(ch.Path, ch.New)
		if !ch.Old.Exists() {
			old = now
		}
		d := Delta{Path: old}
		d.flip(ch.Path, ch.Old)
		if ch.New.Exists() && now != old { // a submodule took the place of a file, or the other way round
			l.deltas = append(l.deltas, d)
			d = Delta{Path: now}
		}
		d.flip(ch.Path, ch.New)
		l.deltas = append(l.deltas, d)
	}
	l.head = c.ID
	l.commits = append(l.commits, logged{c.Time, len(l.deltas)})
}

// index returns the index in l.paths of path with an entry, and adds it if need be.
func (l *Log) index(path string, e Entry) uint32 {
	if e.Mode == git.ModeSubmodule {
		path += "/"
	}
	i, ok := l.number[path]
	if !ok && e.Exists() {
		i = uint32(len(l.paths))
		l.paths = append(l.paths, path)
		l.number[path] = i
	}
	return i
}

// flip adds an entry of a path to d.Flip, or removes it if it is in there.
func (d *Delta) flip(path string, e Entry) {
	if !e.Exists() {
		return
	}
	text := make([]byte, 0, 128)
	text = binary.BigEndian.AppendUint32(text, e.Mode)
	text = append(append(append(text, e.OID...), 0), path...)
	h := sha256.Sum256(text)
	d.Flip[0] ^= binary.BigEndian.Uint64(h[:8])
	d.Flip[1] ^= binary.BigEndian.Uint64(h[8:16])
}

// Len returns the number of commits.
func (l *Log) Len() int {
	if l == nil {
		return 0
	}
	return len(l.commits)
}

// Counted returns what the log has in words: "200 commits", "23 observed saves".
func (l *Log) Counted() string {
	what := "commit"
	if l.IsSaves() {
		what = "observed save"
	}
	if l.Len() != 1 {
		what += "s"
	}
	return fmt.Sprint(l.Len(), " ", what)
}

// IsSaves reports whether the log has observed saves in the place of commits.
func (l *Log) IsSaves() bool { return l != nil && l.saves }

// Head returns the id of the last commit, "" if there is none.
func (l *Log) Head() string { return l.head }

// Shallow reports whether the clone from which the log was read has a part of the history only.
func (l *Log) Shallow() bool { return l != nil && l.shallow }

// Last returns the log of the last n commits.
func (l *Log) Last(n int) *Log {
	if l.Len() <= n {
		return l
	}
	cut := *l
	first := len(l.commits) - n
	if first > 0 {
		cut.start, cut.whole = l.commits[first-1].end, false
	}
	cut.commits = l.commits[first:]
	return &cut
}

// Span returns the times of the first and the last commit; zero if there are none.
func (l *Log) Span() (first, last time.Time) {
	if l.Len() == 0 {
		return first, last
	}
	return l.commits[0].at, l.commits[len(l.commits)-1].at
}

// PerWeek returns the mean number of commits per week. A history of less than a week counts as
// one of a week, since a burst of commits does not go on at the same rate.
func (l *Log) PerWeek() float64 {
	const week = 7 * 24 * time.Hour
	first, last := l.Span()
	return float64(l.Len()) / (float64(max(last.Sub(first), week)) / float64(week))
}

// Paths returns all paths that occur, relative to the repository. That of a submodule ends in
// a slash: it changes with the commit that is recorded of it, and which of its files are others
// then is not known. The caller must not change the slice.
func (l *Log) Paths() []string {
	if l == nil {
		return nil
	}
	return l.paths
}

// All yields the index of each commit and its changes, oldest first.
func (l *Log) All() iter.Seq2[int, []Delta] {
	return func(yield func(int, []Delta) bool) {
		if l.Len() == 0 {
			return
		}
		from := l.start
		for i, c := range l.commits {
			if !yield(i, l.deltas[from:c.end]) {
				return
			}
			from = c.end
		}
	}
}

// Touching returns the number of commits that change a path for which takes returns true.
func (l *Log) Touching(takes func(path string) bool) int {
	selected := make([]bool, len(l.Paths()))
	for i, p := range l.Paths() {
		selected[i] = takes(p)
	}
	n := 0
	for _, deltas := range l.All() {
		if slices.ContainsFunc(deltas, func(d Delta) bool { return selected[d.Path] }) {
			n++
		}
	}
	return n
}
