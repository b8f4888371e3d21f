package daemon

import (
	"context"
	"time"
)

// restAfter is how long after the last event the daemon comes to rest.
const restAfter = 10 * time.Second

// A rest tells the process when the daemon comes to rest, and when it has work again, so
// that a process which sits idle all day can do without collecting garbage.
type rest struct {
	tell  func(resting bool) // Options.Rest; may be nil
	stirs poked              // by stir
}

func newRest(tell func(bool)) *rest {
	return &rest{tell: tell, stirs: newPoked()}
}

// stir notes that something happens. It is safe for concurrent use.
func (r *rest) stir() { r.stirs.poke() }

// run calls tell until ctx ends, and then with false if the daemon rests.
func (r *rest) run(ctx context.Context) {
	if r.tell == nil {
		return
	}
	timer := time.NewTimer(restAfter)
	defer timer.Stop()
	resting := false
	for {
		select {
		case <-ctx.Done():
			if resting {
				r.tell(false)
			}
			return
		case <-r.stirs:
			if resting {
				resting = false
				r.tell(false)
			}
			timer.Reset(restAfter)
		case <-timer.C:
			resting = true
			r.tell(true)
		}
	}
}
