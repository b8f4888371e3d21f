package smoke

import (
	"bytes"
	"testing"
)

func TestStopSignal(t *testing.T) {
	for text, want := range map[string]int{"": 15, "SIGQUIT": 3, "quit": 3, "9": 9, "SIGTERM": 15, "SIGRTMIN+3": 0, "37": 0} {
		name, sig, ok := stopSignal(text)
		if ok != (want != 0) || int(sig) != want || name == "" {
			t.Errorf("%q: %s, %d, %v", text, name, sig, ok)
		}
	}
}

// TestWatchedAcrossWrites: a line comes in pieces.
func TestWatchedAcrossWrites(t *testing.T) {
	var to bytes.Buffer
	w := &watched{to: &to, text: "listening", seen: make(chan struct{})}
	for _, piece := range []string{"now lis", "", "ten"} {
		if _, err := w.Write([]byte(piece)); err != nil || w.found() {
			t.Fatalf("after %q: %v, %v", piece, err, w.found())
		}
	}
	if _, err := w.Write([]byte("ing on 80, still listening\n")); err != nil || !w.found() {
		t.Fatal("it was not found")
	}
	<-w.seen
	if to.String() != "now listening on 80, still listening\n" {
		t.Errorf("handed on: %q", to.String())
	}
}
