package daemon_test

import (
	"slices"
	"strings"

	"github.com/stokerd/stoker/internal/api"
)

// Excuses are what was done to a builder, and can make outcomes unknown. The walks on one
// builder share them, because it lists steps of all of them alike.
type excuses struct {
	unseen  bool // there was a build that the daemon may not have seen
	pruned  bool // some results were removed
	brought bool // a build imported a cache
	moment  excusesOfNow
}

// excusesOfNow are what counts for the next prediction alone.
type excusesOfNow struct {
	started  bool // the daemon was started
	base     bool // a stage is based on another image
	uncached bool // a build without cache has just ended
	beside   bool // one had when the last build began, which may have run beside its end
}

// judgeUnknown checks that each reason for which an outcome is unknown is one that is in force.
func (w *walk) judgeUnknown(predicted api.Prediction, when string) {
	w.t.Helper()
	for i, s := range predicted.Steps {
		if s.Outcome == "unknown" && !w.inForce(predicted.Steps, i) {
			w.t.Errorf("%s: %s is said to be unknown because of %+v, and nothing was done that could make it so:\n%s\npredicted was:\n%s",
				when, s.Name, *s.Cause, w.dockerfile, outlook(predicted.Steps))
		}
	}
}

// inForce reports whether the reason can be in force for which the outcome of step i is unknown.
func (w *walk) inForce(steps []api.StepPrediction, i int) bool {
	switch steps[i].Cause.Kind {
	case "stage-content":
		return w.takesWhatIsMade(steps, i)
	case "unobserved":
		return w.causes.unseen || w.blind
	case "liveness":
		return w.causes.pruned || w.causes.brought
	case "stale-stat":
		return w.blind || w.missed
	case "run-anew":
		return w.causes.moment.uncached || w.causes.moment.beside
	}
	return false // no walk does what another one needs
}

// takesWhatIsMade reports whether step i, or one before it in its stage, takes files of a
// stage of which not everything is known to hit. Where results are gone, or were imported and
// not fetched, that holds of what runs only for such a step, too: what is before it in its
// stage, and the stage that it takes files of.
func (w *walk) takesWhatIsMade(steps []api.StepPrediction, i int) bool {
	of, gone := steps[i].Stage, w.causes.pruned || w.causes.brought
	return slices.ContainsFunc(steps, func(taker api.StepPrediction) bool {
		_, from, takes := strings.Cut(taker.Name, "COPY --from=")
		from, _, _ = strings.Cut(from, " ")
		made := slices.ContainsFunc(steps, func(s api.StepPrediction) bool { return s.Stage == from && s.Outcome != "hit" })
		return takes && made && (taker.Stage == of && (taker.Index <= steps[i].Index || gone) || from == of && gone)
	})
}
