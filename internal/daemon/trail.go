package daemon

import (
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/stokerd/stoker/internal/ledger"
	"github.com/stokerd/stoker/watcher"
)

// A trail is which paths a repository's watchers told of lately. Pictures do not show what
// came and went between them, nor what changed shortly before one. The zero trail is ready
// for use, and safe for concurrent use.
type trail struct {
	mu    sync.Mutex // guards the fields below
	marks []mark     // in the order of their times
	lost  time.Time  // of what was told until then, not all is in marks
}

// A mark is a path that a watcher told of. The time is when that was heard, which is after
// the change.
type mark struct {
	at   time.Time
	path string
}

// trailLength is how many paths a trail holds, which is some megabytes.
const trailLength = 20_000

// add notes what the watchers told of, by root.
func (t *trail) add(batches map[string]watcher.Batch) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	for root, b := range batches {
		if b.Overflow || len(b.Paths) > trailLength {
			t.marks, t.lost = nil, now
			continue
		}
		for _, name := range b.Paths {
			t.marks = append(t.marks, mark{now, filepath.Join(root, filepath.FromSlash(name))})
		}
	}
	if more := len(t.marks) - trailLength; more > 0 {
		t.lost = t.marks[more-1].at
		t.marks = slices.Clone(t.marks[more:])
	}
}

// miss notes that something may have changed of which no watcher told.
func (t *trail) miss() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.marks, t.lost = nil, time.Now()
}

// stampLag is by how much the time of a file may be behind the clock: by a tick of the
// kernel, of which the slowest has 100 a second.
const stampLag = 10 * time.Millisecond

// since returns what was told since a moment, by the clock of this machine.
func (t *trail) since(moment time.Time) *ledger.Stir {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := &ledger.Stir{Since: moment.Add(-stampLag), Lost: !t.lost.Before(moment)}
	for _, m := range slices.Backward(t.marks) {
		if m.at.Before(moment) {
			break
		}
		s.Paths = append(s.Paths, m.path)
	}
	return s
}
