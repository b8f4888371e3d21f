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

// A Log is a stretch of a first-parent line in the form that a replay reads:
// which paths each commit changed, and how, in some 30 bytes per change however
// long the path is. It is immutable: [Extend] makes the next one from it.
// The zero Log is one of no commits.
type Log struct {
	head    string // of the last commit
	paths   []string
	number  map[string]uint32 // index into paths
	start   int               // of the first commit's deltas
	whole   bool              // there is nothing before the first commit
	commits []logged
	deltas  []Delta
	saves   bool // they are saves that were seen, not commits
}

type logged struct {
	at  time.Time
	end int // of its deltas
}

// A Delta is one path of a commit.
type Delta struct {
	Path uint32 // index into Log.Paths
	// Flip tells what a path held from what it holds: XORed over the paths of a
	// set it identifies the set's content, so that going back to old content gives
	// the old value.
	Flip [2]uint64
}

// NewLog returns the log of commits, oldest first.
func NewLog(commits []Commit) *Log {
	l := &Log{number: map[string]uint32{}}
	for _, c := range commits {
		l.add(c)
	}
	return l
}

// Extend returns the log of the last n commits of HEAD, or of more. What known, which
// may be nil, holds of it is not read again; a history that was rewritten is read
// anew. Errors are those of [History].
func Extend(ctx context.Context, repo *git.Repo, known *Log, n int) (*Log, error) {
	if known != nil && (known.Len() >= n || known.whole) && known.head != "" {
		next, ok, err := known.follow(ctx, repo, n)
		if ok || err != nil {
			return next, err
		}
	}
	l := &Log{number: map[string]uint32{}}
	for c, err := range History(ctx, repo, n) {
		if err != nil {
			return l, err
		}
		l.add(c)
	}
	l.whole = l.Len() < n
	return l, nil
}

// follow reads the commits after the log's last one; it reports false where
// HEAD's line does not lead there.
func (l *Log) follow(ctx context.Context, repo *git.Repo, n int) (*Log, bool, error) {
	head, err := repo.Head(ctx)
	if err != nil {
		return nil, false, err
	}
	if head.Commit == l.head {
		return l, true, nil
	}
	next := &Log{
		head: l.head, start: l.start, whole: l.whole, paths: slices.Clone(l.paths), number: maps.Clone(l.number),
		commits: slices.Clone(l.commits), deltas: slices.Clone(l.deltas),
	}
	var list []Commit
	for c, err := range since(ctx, repo, l.head, n) {
		if err != nil {
			return nil, false, nil // it may be gone: the long way tells
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

func (l *Log) add(c Commit) {
	for _, ch := range c.Changes {
		i, ok := l.number[ch.Path]
		if !ok {
			i = uint32(len(l.paths))
			l.paths = append(l.paths, ch.Path)
			l.number[ch.Path] = i
		}
		d := Delta{Path: i}
		d.flip(ch.Path, ch.Old)
		d.flip(ch.Path, ch.New)
		l.deltas = append(l.deltas, d)
	}
	l.head = c.ID
	l.commits = append(l.commits, logged{c.Time, len(l.deltas)})
}

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

// Len returns the number of commits; of a nil log it is 0.
func (l *Log) Len() int {
	if l == nil {
		return 0
	}
	return len(l.commits)
}

// Counted names what the log is of: "200 commits", "23 observed saves".
func (l *Log) Counted() string {
	what := "commit"
	if l != nil && l.saves {
		what = "observed save"
	}
	if l.Len() != 1 {
		what += "s"
	}
	return fmt.Sprint(l.Len(), " ", what)
}

// Head returns the id of the last commit, "" if there is none.
func (l *Log) Head() string { return l.head }

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

// Span returns when the first and the last commit were made.
func (l *Log) Span() (first, last time.Time) {
	if l.Len() == 0 {
		return first, last
	}
	return l.commits[0].at, l.commits[len(l.commits)-1].at
}

// PerWeek is the rate of commits. A history of less than a week is taken for one: what
// comes in bursts does not go on like that.
func (l *Log) PerWeek() float64 {
	const week = 7 * 24 * time.Hour
	first, last := l.Span()
	return float64(l.Len()) / (float64(max(last.Sub(first), week)) / float64(week))
}

// Paths returns every path that was read, relative to the repository. It is not
// to be changed.
func (l *Log) Paths() []string {
	if l == nil {
		return nil
	}
	return l.paths
}

// All yields each commit's changes, oldest first.
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

// Touching counts the commits that change a path which takes selects.
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
