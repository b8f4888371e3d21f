package daemon

import (
	"testing"
	"time"

	"github.com/stokerd/stoker/cache/buildkit"
)

// TestEndsBeforeListening: a build that ran when the history was read and has ended when
// somebody listens is recorded, and one that the history has is not twice.
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
			t.Errorf("%s: recorded: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// TestLasts: what a build made that has ended is kept by one that runs, if others that ran
// in between may have handed it on.
func TestLasts(t *testing.T) {
	noon := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	build := func(from, to int) buildkit.Event { // in minutes; one that runs has no end
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
		if got := lasts(ended, append(tt.others, ended)); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}
