package report

import (
	"slices"
	"strings"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/project"
)

// Prediction puts what is predicted of the nodes of a build's graph as it is shown,
// by step. seconds are medians of executions by instruction.
func Prediction(b *project.Build, g cache.Graph, nodes []cache.Prediction, seconds map[string]float64) api.Prediction {
	plan := b.Selection.Plan
	out := api.Prediction{Name: b.Definition.Name, Steps: []api.StepPrediction{}}
	for i, s := range plan.Steps {
		p := ofStep(g, nodes, i)
		if plan.External {
			p = cache.Prediction{Forecast: cache.Unknown, Reason: cache.OtherFrontend}
		}
		step := api.StepPrediction{Name: s.Name, Stage: s.Stage, Index: s.Index, Outcome: string(p.Forecast)}
		if sec, ok := seconds[s.Instruction]; ok {
			step.Seconds = &sec
		}
		switch p.Forecast {
		case cache.WillHit:
			out.Hits++
		case cache.WillMiss:
			step.Cause = &api.PredictedCause{Kind: string(p.Cause), Text: missText(p.Cause, s)}
			if out.FirstMiss == "" && p.Cause != cache.TakesInput {
				out.FirstMiss = s.Name
			}
		case cache.Unknown:
			out.Unknown++
			step.Cause = &api.PredictedCause{Kind: string(p.Reason), Text: unknownText(p.Reason)}
		}
		out.Steps = append(out.Steps, step)
	}
	if path, any := criticalPath(plan.Steps, out.Steps); any {
		out.Seconds = &path
	}
	return out
}

// ofStep joins what is predicted of the nodes of a step: the worst speaks for it,
// and of several that run the one that breaks the cache.
func ofStep(g cache.Graph, nodes []cache.Prediction, step int) cache.Prediction {
	order := []cache.Forecast{cache.WillHit, cache.Unknown, cache.WillMiss}
	out := cache.Prediction{Forecast: cache.WillHit}
	for i, n := range g.Nodes {
		if !slices.Contains(n.Steps, step) {
			continue
		}
		p := nodes[i]
		worse := slices.Index(order, p.Forecast) - slices.Index(order, out.Forecast)
		if worse > 0 || worse == 0 && out.Cause == cache.TakesInput {
			out = p
		}
	}
	return out
}

func missText(c cache.MissCause, s dockerfile.Step) string {
	switch c {
	case cache.TakesInput:
		return "something that it takes in will run"
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
		return "depends on what another stage gives, which will run"
	case cache.NotObserved:
		return "the builder may have results of builds that stoker did not see"
	case cache.PerhapsGone:
		return "the builder may have dropped the result"
	case cache.NotRead:
		return "files that it takes could not be read"
	case cache.NotResolved:
		return "it is not known what an image's tag or an address stands for"
	case cache.OtherFrontend:
		return "another frontend (# syntax=) reads this Dockerfile"
	}
	return string(u)
}

// criticalPath returns how long the steps that will run take where those run side
// by side that can; false if nothing is known of one of them.
func criticalPath(plan []dockerfile.Step, steps []api.StepPrediction) (seconds float64, known bool) {
	ends := make([]float64, len(plan))
	for done := 0; done < len(plan); done++ { // parents may come later in the file
		for i, s := range plan {
			start := 0.0
			for _, p := range s.Parents {
				start = max(start, ends[p])
			}
			if steps[i].Outcome == string(cache.WillMiss) && steps[i].Seconds != nil {
				start += *steps[i].Seconds
			}
			ends[i] = start
		}
	}
	for i, s := range steps {
		if s.Outcome != string(cache.WillHit) && s.Seconds == nil && !quick(plan[i]) {
			return 0, false
		}
	}
	return slices.Max(append(ends, 0)), true
}

// quick reports a step that takes next to nothing.
func quick(s dockerfile.Step) bool {
	return s.Keyword == "WORKDIR" || strings.HasPrefix(s.Instruction, "COPY ")
}
