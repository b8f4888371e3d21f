package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/project"
)

// Predicted is what is predicted about the next build of a definition. Slices are by node
// of the graph.
type Predicted struct {
	Build    *project.Build // with a selection
	Graph    cache.Graph
	Nodes    []cache.Prediction
	Luck     []cache.Luck
	Expected cache.Expectation // how long things took so far
	// Reading says that some earlier builds of the builder have not been read yet.
	Reading bool
	// Imported marks the nodes whose result only a cache outside the builder has; nil for
	// none.
	Imported []bool
	// Until says what the user has to do before images are looked up and caches outside the
	// builder are read, as the end of a sentence; "" if that is done already. Withheld marks
	// the nodes that depend on such an image; nil for none.
	Until    string
	Withheld []bool
	// Explain, if not nil, returns why a step will run, as stoker why does; nil if it is not
	// known.
	Explain func(step int) *api.WhyCause
}

// Prediction reports the prediction of a build, step by step.
func Prediction(p Predicted) api.Prediction {
	plan := p.Build.Selection.Plan
	out := api.Prediction{Name: p.Build.Definition.Name, Steps: []api.StepPrediction{}}
	for i, s := range plan.Steps {
		forecast, luck := p.ofStep(i)
		if plan.External {
			forecast = cache.Prediction{Forecast: cache.Unknown, Reason: cache.OtherFrontend}
		}
		step := api.StepPrediction{Name: s.Name, Stage: s.Stage, Index: s.Index, Outcome: string(forecast.Forecast)}
		if sec, ok := p.Expected.Steps[s.Instruction]; ok {
			step.Seconds = &sec.Median
		}
		switch forecast.Forecast {
		case cache.WillHit:
			out.Hits++
			step.Imported = p.any(p.Imported, i)
		case cache.WillMiss:
			step.Cause = missCause(p, i, forecast.Cause)
			if out.FirstMiss == "" && forecast.Cause != cache.TakesInput {
				out.FirstMiss = s.Name
			}
		case cache.Unknown:
			out.Unknown++
			step.Cause = unknownCause(p, i, forecast.Reason, luck)
		}
		out.Steps = append(out.Steps, step)
	}
	addSeconds(&out, plan.Steps, p.Expected)
	return out
}

// any reports whether one of the nodes of a step is marked. marked is by node, or nil.
func (p Predicted) any(marked []bool, step int) bool {
	for i, n := range p.Graph.Nodes {
		if marked != nil && marked[i] && slices.Contains(n.Steps, step) {
			return true
		}
	}
	return false
}

// fails reports whether the build fails at a step, because what that takes is not there.
func (p Predicted) fails(step int) bool {
	return slices.ContainsFunc(p.Graph.Nodes, func(n cache.Node) bool { return n.Unknown == cache.NotThere && slices.Contains(n.Steps, step) })
}

// missCause returns why a step will run. p.Explain knows it from a comparison with earlier
// builds; without that, it can only be said what the builder's cache lacks.
func missCause(p Predicted, step int, cause cache.MissCause) *api.PredictedCause {
	if cause != cache.TakesInput && cause != cache.ToldTo && p.Explain != nil {
		if c := p.Explain(step); c != nil && c.Kind != string(cache.ByUnknown) {
			return &api.PredictedCause{Kind: c.Kind, Text: c.Text, Name: c.Name, Line: c.Line, Before: c.Before, After: c.After, Paths: c.Paths}
		}
	}
	return &api.PredictedCause{Kind: string(cause), Text: missText(cause, p.Build.Selection.Plan.Steps[step])}
}

// unknownCause returns why it is not known whether a step will run.
func unknownCause(p Predicted, step int, reason cache.Uncertainty, luck cache.Luck) *api.PredictedCause {
	c := &api.PredictedCause{Kind: string(reason), Text: unknownText(reason)}
	switch {
	case reason == cache.NotObserved && p.Reading:
		c.Text = "the builder may have its result: what was built before is still being read"
	case reason == cache.NotThere && !p.fails(step):
		c.Text = "the build fails before it: another step takes a path that is not in its context"
	case reason == cache.NotResolved && p.any(p.Withheld, step):
		c.Text = "an image is not looked up until " + p.Until
	case reason == cache.ByImport && p.Until != "":
		c.Text = "the builder does not hold it, and a cache elsewhere (cache-from) is not read until " + p.Until
	case reason == cache.ByStageContent && luck.Of > 0:
		c.Text += fmt.Sprintf("; unchanged in %d of %d runs", luck.Reused, luck.Of)
		c.Reused, c.Of = luck.Reused, luck.Of
	}
	return c
}

// ofStep returns the prediction of a step, which is the worst one of its nodes. If several of
// them will run, it is the one of a node that does so not only because its input does.
func (p Predicted) ofStep(step int) (cache.Prediction, cache.Luck) {
	order := []cache.Forecast{cache.WillHit, cache.Unknown, cache.WillMiss}
	out, luck := cache.Prediction{Forecast: cache.WillHit}, cache.Luck{}
	for i, n := range p.Graph.Nodes {
		if !slices.Contains(n.Steps, step) {
			continue
		}
		own := p.Nodes[i]
		worse := slices.Index(order, own.Forecast) - slices.Index(order, out.Forecast)
		if worse > 0 || worse == 0 && out.Cause == cache.TakesInput {
			out, luck = own, p.Luck[i]
		}
	}
	return out, luck
}

func missText(c cache.MissCause, s dockerfile.Step) string {
	switch c {
	case cache.TakesInput:
		return "something that it takes in will run"
	case cache.ToldTo:
		return "the build is told to run it anew (no-cache)"
	case cache.OtherFiles:
		return "it ran before, with other files"
	case cache.ResultGone:
		return "its result was dropped from the builder's cache"
	}
	if s.Keyword == "RUN" {
		return "never run like this: it, an ARG or ENV above it, or the base image is new"
	}
	return "never run like this: it or the base image is new"
}

func unknownText(u cache.Uncertainty) string {
	switch u {
	case cache.ByStageContent:
		return "depends on what another stage gives, which only the build shows"
	case cache.NotObserved:
		return "the builder may have results of builds that stoker did not see, or not all of"
	case cache.PerhapsGone:
		return "the builder may have dropped the result"
	case cache.NotRead:
		return "files that it takes could not be read"
	case cache.NotThere:
		return "the build fails when it comes to this step: a path that it takes is not in its context"
	case cache.NotSeen:
		return "files changed in a way that the builder may not see: stoker status names them"
	case cache.NotResolved:
		return "it is not known what an image's tag or an address stands for"
	case cache.ByImport:
		return "the builder does not hold it, and a cache elsewhere (cache-from) may"
	case cache.RunAnew:
		return "a build that ignores the cache may run this step, for itself or for one that still runs: the next build waits for that"
	case cache.OtherFrontend:
		return "another frontend (# syntax=) reads this Dockerfile"
	}
	return string(u)
}

// addSeconds sets how long the build will take, unless that is not known for a step that
// will or may run.
func addSeconds(out *api.Prediction, plan []dockerfile.Step, e cache.Expectation) {
	var fixed cache.Spread
	if e.Fixed != nil {
		fixed = *e.Fixed
		out.FixedSeconds = &e.Fixed.Median
	}
	for i, s := range out.Steps {
		if s.Outcome != string(cache.WillHit) && s.Seconds == nil && !quick(plan[i]) {
			return
		}
	}
	path := func(of func(cache.Spread) float64, also string) *float64 {
		seconds := of(fixed) + criticalPath(plan, func(i int) float64 {
			if o := out.Steps[i].Outcome; o != string(cache.WillMiss) && o != also {
				return 0
			}
			return of(e.Steps[plan[i].Instruction])
		})
		return &seconds
	}
	out.Seconds = path(func(s cache.Spread) float64 { return s.Median }, "")
	out.SecondsLow = path(func(s cache.Spread) float64 { return s.Low }, "")
	out.SecondsHigh = path(func(s cache.Spread) float64 { return s.High }, string(cache.Unknown))
}

// criticalPath returns how long the steps take together if each begins as soon as its
// parents have ended.
func criticalPath(plan []dockerfile.Step, seconds func(step int) float64) float64 {
	ends := make([]float64, len(plan))
	for range plan { // parents may come later in the file
		changed := false
		for i, s := range plan {
			end := 0.0
			for _, p := range s.Parents {
				end = max(end, ends[p])
			}
			end += seconds(i)
			if end > ends[i] {
				ends[i], changed = end, true
			}
		}
		if !changed {
			break
		}
	}
	return slices.Max(append(ends, 0))
}

// quick reports whether a step takes so little time that it need not be known.
func quick(s dockerfile.Step) bool {
	return s.Keyword == "WORKDIR" || strings.HasPrefix(s.Instruction, "COPY ")
}
