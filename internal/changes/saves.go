package changes

import (
	"fmt"
	"time"
)

// A Save is an observed change of files. Saves stand for commits where there is no git.
type Save struct {
	At    time.Time
	Paths []string // relative to the repository's root, slash-separated
}

// Saves returns the log of saves, which are given oldest first. The content of the files is
// not known, so each save counts as new content, even if a file was changed back.
func Saves(list []Save) *Log {
	l := &Log{number: map[string]uint32{}, saves: true}
	now := map[string]Entry{}
	for i, s := range list {
		c := Commit{Time: s.At}
		for _, p := range s.Paths {
			next := Entry{Mode: 0o100644, OID: fmt.Sprint("save ", i)}
			c.Changes = append(c.Changes, Change{Path: p, Old: now[p], New: next})
			now[p] = next
		}
		l.add(c)
	}
	return l
}
