package smoke

import (
	"bytes"
	"testing"
)

func TestStopSignal(t *testing.T) {
	for text, want := range map[string]int{"": 15, "SIGQUIT": 3, "quit": 3, "9": 9, "SIGTERM": 15, "SIGRTMIN+3": 0, "37": 0} {
		name, sig, ok := stopSignal(text)
		if ok != (want != 0) || int(sig) != want || name == "" {
			t.Errorf("stopSignal(%q) = %s, %d, %v; want number %d", text, name, sig, ok, want)
		}
	}
}

// TestWatchedAcrossWrites checks that a text is found that is written in pieces.
func TestWatchedAcrossWrites(t *testing.T) {
	var to bytes.Buffer
	w := &watched{to: &to, text: "listening", seen: make(chan struct{})}
	for _, piece := range []string{"now lis", "", "ten"} {
		if _, err := w.Write([]byte(piece)); err != nil || w.found() {
			t.Fatalf("after %q: error %v, found %v; want none, and not found yet", piece, err, w.found())
		}
	}
	if _, err := w.Write([]byte("ing on 80, still listening\n")); err != nil || !w.found() {
		t.Fatalf("after the last piece: error %v, found %v; want none, and found", err, w.found())
	}
	<-w.seen
	if got, want := to.String(), "now listening on 80, still listening\n"; got != want {
		t.Errorf("passed on %q, want %q", got, want)
	}
}
