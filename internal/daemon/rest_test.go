package daemon

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// TestRest checks that rest is told once after work has ended, not in between, and that the
// process is told to wake when the daemon ends.
func TestRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := make(chan bool, 10)
		r := newRest(func(resting bool) { told <- resting })
		ctx, cancel := context.WithCancel(t.Context())
		go func() { defer close(told); r.run(ctx) }()
		for range 5 {
			r.stir()
			time.Sleep(restAfter / 2)
		}
		if len(told) != 0 {
			t.Errorf("told resting = %v while work went on, want nothing", <-told)
		}
		time.Sleep(time.Hour)
		r.stir()
		time.Sleep(time.Hour)
		cancel()
		var got []bool
		for resting := range told {
			got = append(got, resting)
		}
		if want := []bool{true, false, true, false}; !slices.Equal(got, want) {
			t.Errorf("told resting = %v, want %v", got, want)
		}
	})
}
