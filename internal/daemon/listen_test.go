package daemon

import (
	"testing"

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
