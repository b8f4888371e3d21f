package daemon

import (
	"context"
	"time"
)

// restAfter is how long nothing must have happened before the daemon rests.
const restAfter = 10 * time.Second

// A rest tells the process when the daemon has come to rest and when it stirs,
// so that one that sits all day costs nothing.
type rest struct {
	tell  func(resting bool) // Options.Rest; nil tells nobody
	stirs poked              // something happens
}

func newRest(tell func(bool)) *rest {
	return &rest{tell: tell, stirs: newPoked()}
}

// stir says that something happens.
func (r *rest) stir() { r.stirs.poke() }

// run tells of rest until ctx ends.
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
