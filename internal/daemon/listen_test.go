package daemon

import (
	"testing"
	"time"

	"github.com/stokerd/stoker/cache/buildkit"
)

// TestEndsBeforeListening checks that a build is recorded which ends between the reading of
// the history and the first event, and that one which the history has as finished is not
// recorded a second time.
func TestEndsBeforeListening(t *testing.T) {
	for _, tt := range []struct {
		name    string
		history []buildkit.Event
		want    bool
	}{
		{"it ran", []buildkit.Event{{Ref: "a", Type: buildkit.Started}}, true},
		{"it had ended", []buildkit.Event{{Ref: "a", Type: buildkit.Complete}}, false},
		{"it had not begun", nil, true},
		{"it had ended otherwise", []buildkit.Event{{Ref: "a", Type: buildkit.Complete, Generation: 1}}, true},
	} {
		known := account{missed: newQueue(), builds: newQueue()}
		l := &listener{known: known, missed: generations(tt.history), running: map[string]runningBuild{}}
		l.ended(t.Context(), buildkit.Event{Ref: "a", Type: buildkit.Complete})
		if got := !known.missed.idle(); got != tt.want {
			t.Errorf("%s: queued = %v, want %v", tt.name, got, tt.want)
		}
	}
}

// TestMayBeHeld checks through which builds in between one that runs may hold operations of
// one that has ended.
func TestMayBeHeld(t *testing.T) {
	noon := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	build := func(from, to int) buildkit.Event { // in minutes after noon; to is -1 if it still runs
		ev := buildkit.Event{Type: buildkit.Started, Created: noon.Add(time.Duration(from) * time.Minute)}
		if to >= 0 {
			ev.Type, ev.Completed = buildkit.Complete, noon.Add(time.Duration(to)*time.Minute)
		}
		return ev
	}
	ended := build(10, 20)
	for _, tt := range []struct {
		name   string
		others []buildkit.Event
		want   bool
	}{
		{"alone", nil, false},
		{"one runs that began before it", []buildkit.Event{build(5, -1)}, true},
		{"one runs that began beside it", []buildkit.Event{build(15, -1)}, true},
		{"one runs that began after it", []buildkit.Event{build(25, -1)}, false},
		{"it ends just now", []buildkit.Event{build(20, -1)}, true},
		{"another was there for both", []buildkit.Event{build(25, -1), build(15, 30)}, true},
		{"two others were", []buildkit.Event{build(35, -1), build(28, 40), build(15, 30)}, true},
		{"two others were, one after the other", []buildkit.Event{build(45, -1), build(35, 50), build(15, 30)}, false},
	} {
		if got := mayBeHeld(ended, append(tt.others, ended)); got != tt.want {
			t.Errorf("%s: mayBeHeld = %v, want %v", tt.name, got, tt.want)
		}
	}
}

// TestFarClock: nothing counts as later than it was, whatever a builder's clock says and
// however late it is heard of, as long as one event of the connection came in time.
func TestFarClock(t *testing.T) {
	noon := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	type event struct{ at, ahead, late time.Duration } // by how much the builder's clock is ahead
	for _, tt := range []struct {
		name   string
		events []event
		most   time.Duration // that something may count as earlier than it was
	}{
		{"in time", []event{{0, 0, time.Millisecond}}, mostDelay},
		{"ahead", []event{{0, time.Hour, 40 * time.Millisecond}}, mostDelay},
		{"behind", []event{{0, -time.Hour, mostDelay}}, mostDelay},
		{"late", []event{{0, time.Hour, time.Millisecond}, {time.Second, time.Hour, time.Minute}}, mostDelay},
		{"set back", []event{{0, time.Hour, time.Millisecond}, {time.Second, 0, time.Millisecond}}, mostDelay + time.Hour},
		{"set forward", []event{{0, 0, time.Millisecond}, {time.Second, time.Hour, time.Millisecond}}, mostDelay},
	} {
		c := farClock{}
		for i, ev := range tt.events {
			was := noon.Add(ev.at)
			far := was.Add(ev.ahead)
			c.hear(was.Add(ev.late), far)
			if got := was.Sub(c.here(far)); got < 0 || got > tt.most {
				t.Errorf("%s: event %d counts as %v earlier than it was, want 0 to %v", tt.name, i, got, tt.most)
			}
		}
	}
}
