package daemon_test

import (
	"fmt"
	"slices"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/moby/buildkit/client"

	"github.com/stokerd/stoker/internal/api"
)

// An event is something that happens between or during the builds of a walk.
type event struct {
	kind int
	kill bool // a daemon that is stopped is killed
}

// The kinds of events.
const (
	restart        = iota // the daemon is restarted
	buildUnseen           // a build is made while the daemon is off
	killDuring            // the daemon is killed during the build that is predicted
	buildsUncached        // builds without cache are made that are in no history
	buildUncached         // a build without cache is made that is in the history
	buildOfAnother        // some results are pruned, and another state is built
	nothing               // this kind, and those after it, stand for no event
	kindsOfEvents  = nothing + 3
)

// drawEvent returns a random event.
func (w *walk) drawEvent() event {
	kill := w.IntN(2) == 0
	return event{w.IntN(kindsOfEvents), kill}
}

// disturb has the event happen, unless it is one during the build, and perhaps a build that
// fails and one that imports a cache. It returns what it did.
func (w *walk) disturb(e event) string {
	w.t.Helper()
	what := ""
	switch e.kind {
	case restart:
		w.restart(e.kill)
		what = fmt.Sprintf(", and a restart (killed: %v)", e.kill)
	case buildUnseen:
		w.daemon.stop(e.kill)
		w.build()
		what = fmt.Sprintf(", a build that was not seen (killed: %v), and %s", e.kill, w.change())
		w.daemon.start()
		w.missed, w.causes.unseen, w.causes.moment.started = true, true, true
	case buildUncached:
		w.solve(client.SolveOpt{FrontendAttrs: map[string]string{"no-cache": ""}})
		w.seen("the build without cache")
		what = ", and a build without cache"
		w.causes.moment.uncached = true
	case buildsUncached: // as a verification makes them, after which its proposal may be applied
		for range 1 + w.IntN(2) {
			w.solve(client.SolveOpt{Internal: true, FrontendAttrs: map[string]string{"no-cache": ""}})
		}
		what = ", and builds without cache that are not told of"
		w.missed, w.causes.unseen, w.causes.moment.uncached = true, true, true
	case buildOfAnother:
		what = ", and " + w.aside()
	}
	if w.buildx == nil && w.IntN(6) == 0 {
		what += ", and a build that failed, " + w.fail()
	}
	if w.imports && w.IntN(3) == 0 {
		what += w.bring()
	}
	return what
}

// restart restarts the daemon, and checks that it predicts the same as before.
func (w *walk) restart(kill bool) {
	w.t.Helper()
	// Less is known until the daemon has read all builds, before as well as after, so it is asked
	// several times.
	before := w.resolved()
	unknown := func(s api.StepPrediction) bool { return s.Outcome == "unknown" }
	anew := func(s api.StepPrediction) bool { return s.Cause != nil && s.Cause.Kind == "run-anew" }
	for tries := 0; tries < 10 && slices.ContainsFunc(before.Steps, unknown); tries++ {
		before = w.resolved()
	}
	// A build without cache lasts until the builder has let go of it.
	for deadline := time.Now().Add(time.Minute); slices.ContainsFunc(before.Steps, anew) && time.Now().Before(deadline); {
		before = w.resolved()
	}
	w.daemon.stop(kill)
	w.daemon.start()
	w.causes.moment.started = true
	diff := "anything"
	for tries := 0; diff != "" && tries < 10; tries++ {
		diff = cmp.Diff(before.Steps, w.resolved().Steps, cmpopts.IgnoreFields(api.StepPrediction{}, "Seconds"))
	}
	if diff != "" {
		w.t.Errorf("seed %d: a restart (killed: %v) changed what is predicted:\n%s", w.seed, kill, diff)
	}
}
