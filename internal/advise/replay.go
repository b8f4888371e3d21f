package advise

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/project"
	"github.com/stokerd/stoker/internal/suggest"
)

// MostCommits is how many commits a replay may ask for.
const MostCommits = 100_000

// Replay computes what builds of b would have cost over the history h, with the file with
// as its Dockerfile, compared with the Dockerfile as it is. If with is nil, it is the
// Dockerfile as it is, compared with what the best suggestion makes of it. An error is an
// [api.Error]: b or with cannot be converted.
func Replay(ctx context.Context, p *project.Picture, b *project.Build, h History, costs Costs, with *api.ReplayFile) (api.Replay, error) {
	out := api.Replay{Schema: api.ReplaySchema, Definition: b.Definition.Name, Builds: h.Commits.Len(), Saves: h.Commits.IsSaves(), Note: h.note()}
	if b.Problem != nil {
		return out, &api.Error{Code: api.BadInput, Message: b.Problem.Text, Hint: b.Problem.Hint}
	}
	r := newRound(h, costs, nil)
	in, ok := r.input(ctx, p, b, r.basis(p, b), new(bool))
	if !ok {
		return out, &api.Error{
			Code: api.BadInput, Message: b.Definition.Name + " has no Dockerfile of its own to replay", Hint: "name a build that has",
		}
	}
	if names := in.Passing(); len(names) > 0 {
		note := strings.Join(names, ", ") + ": taken to have another value in each build"
		out.Note = strings.TrimPrefix(out.Note+"; "+note, "; ")
	}
	in = in.Remembering()
	today, err := in.Replay(in.Builds[0], nil)
	if err != nil {
		return out, badInput(err)
	}
	fill := func(file string, r suggest.Replayed) {
		out.Dockerfile, out.HitRate, out.SecondsPerBuild, out.Costs, out.Steps = file, r.HitRate, r.Wall, r.Costs, replaySteps(r, out.Builds)
	}
	if with != nil {
		r, err := in.Replay(in.Builds[0], with.Text)
		var refused *dockerfile.Error
		if errors.As(err, &refused) {
			of := *refused
			of.File, err = with.Name, &of
		}
		if err != nil {
			return out, badInput(err)
		}
		fill(with.Name, r)
		out.Compared = compared(in.Path, "", today, out.Builds)
		return out, nil
	}
	fill(in.Path, today)
	for _, s := range suggest.Suggest(in) {
		i := slices.IndexFunc(s.Changes, func(c suggest.Change) bool { return c.Path == in.Path })
		if i < 0 || s.Proof == suggest.Advice || s.SavesSeconds <= 0 {
			continue
		}
		// Some rules save time without a change of which steps run (a cache mount): a
		// replay would show no difference.
		if r, err := in.Replay(in.Builds[0], s.Changes[i].New); err == nil && r.Wall < today.Wall && r.HitRate != today.HitRate {
			out.Compared = compared(in.Path, s.Rule, r, out.Builds)
			break
		}
	}
	return out, nil
}

// badInput returns err as an error of the user, with its hint if it has one.
func badInput(err error) error {
	e := &api.Error{Code: api.BadInput, Message: err.Error()}
	var hinted interface{ Hint() string }
	if errors.As(err, &hinted) {
		e.Hint = hinted.Hint()
	}
	return e
}

// compared converts the replay that another is compared with; rule is that of the
// suggestion, "" for the file as it is.
func compared(file, rule string, r suggest.Replayed, builds int) *api.ReplayOther {
	return &api.ReplayOther{
		Dockerfile: file, Rule: rule, HitRate: r.HitRate, SecondsPerBuild: r.Wall, Costs: r.Costs, Steps: replaySteps(r, builds),
	}
}

// replaySteps converts the steps of a replay over some builds.
func replaySteps(r suggest.Replayed, builds int) []api.ReplayStep {
	list := make([]api.ReplayStep, len(r.Plan.Steps))
	for i, s := range r.Plan.Steps {
		list[i] = api.ReplayStep{
			Name: s.Name, Stage: s.Stage, Index: s.Index, Hits: builds - r.Runs[i], Misses: r.Runs[i], Seconds: r.Seconds[i],
		}
	}
	return list
}
