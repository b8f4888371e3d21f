package daemon

import (
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stokerd/stoker/watcher"
)

// TestTrail: what was told since a moment is there, or it is said that some is not.
func TestTrail(t *testing.T) { synctest.Test(t, testTrail) }

func testTrail(t *testing.T) {
	var tr trail
	tell := func(b watcher.Batch) { tr.add(map[string]watcher.Batch{"/r": b}) }
	check := func(what string, moment time.Time, lost bool, want ...string) {
		t.Helper()
		s := tr.since(moment)
		slices.Sort(s.Paths)
		if s.Lost != lost || !lost && !slices.Equal(s.Paths, want) {
			t.Errorf("%s: lost: %v, paths %q, want %v, %q", what, s.Lost, s.Paths, lost, want)
		}
		if !s.Since.Before(moment) {
			t.Errorf("%s: files count from %s on, want from somewhat before %s", what, s.Since, moment)
		}
	}
	moment := func() time.Time {
		time.Sleep(time.Microsecond)
		defer time.Sleep(time.Microsecond)
		return time.Now()
	}
	first := moment()
	check("nothing", first, false)
	tell(watcher.Batch{Paths: []string{"a"}})
	second := moment()
	tell(watcher.Batch{Paths: []string{".", "b/c"}})
	check("from the first", first, false, "/r", "/r/a", "/r/b/c")
	check("from the second", second, false, "/r", "/r/b/c")
	tell(watcher.Batch{Overflow: true})
	check("before an overflow", second, true)
	third := moment()
	check("after an overflow", third, false)
	tell(watcher.Batch{Paths: []string{"d"}})
	tr.miss()
	check("before something was missed", third, true)
	fourth := moment()
	var many []string
	for i := range trailLength {
		many = append(many, strconv.Itoa(i))
	}
	tell(watcher.Batch{Paths: []string{"old"}})
	fifth := moment()
	tell(watcher.Batch{Paths: many})
	check("more than it holds", fourth, true)
	slices.Sort(many)
	for i := range many {
		many[i] = "/r/" + many[i]
	}
	check("as much as it holds", fifth, false, many...)
	tell(watcher.Batch{Paths: append(many, "one more")})
	check("more at once than it holds", fifth, true)
}
