package changes

import (
	"fmt"
	"time"
)

// A Save is a moment at which files were seen to change, where no history tells.
type Save struct {
	At time.Time
	// Paths are relative to the repository's root, slash-separated.
	Paths []string
}

// Saves returns the log of saves, oldest first. What the files became is not known:
// each save counts as content that never was, so that going back is not seen.
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
