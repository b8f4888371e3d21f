package cli

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/suggest"
	"github.com/stokerd/stoker/internal/verify"
)

// mostShown is how many differences of a suggestion are printed.
const mostShown = 20

// proven verifies the suggestions of answer that the flags want verified, and enters
// the outcomes into answer. Suggestions that would make another image become withdrawn.
// It returns false if any was not verified as making the same image. If only --apply
// asks and no builder may be used, it says so and returns true.
func (s *suggestOptions) proven(ctx context.Context, query api.Query, answer *api.Suggest) (bool, error) {
	list := s.toProve(*answer)
	if len(list) == 0 {
		return true, nil
	}
	if s.apply {
		// Fail before the builds, not after, if the changes cannot be applied.
		applier, err := s.applier(ctx)
		if err == nil {
			err = applier.Check(ctx, s.changes(*answer, firsts(list)))
		}
		if err != nil {
			return false, err
		}
	}
	found, err := s.verifyAll(ctx, query, *answer, list)
	var refused *api.Error
	if !s.verify && errors.As(err, &refused) && (refused.Code == api.NotAllowed || refused.Code == api.NoBuilder) {
		s.err.line("not proven by a build: " + visible(refused.Message, nil))
		s.hint("stoker suggest --verify builds and compares, for that run only")
		return true, nil
	}
	if err != nil {
		return false, err
	}
	enter(answer, found)
	s.proved = true
	for _, v := range found {
		if v.Outcome != api.VerifiedEqual {
			return false, nil
		}
	}
	return true, nil
}

// toProve returns the suggestions that the flags want verified.
func (s *suggestOptions) toProve(answer api.Suggest) []api.Suggestion {
	switch {
	case s.noVerify || !s.apply && !s.verify:
		return nil
	case s.all:
		return applicable(answer)
	case s.apply:
		return candidates(answer)
	default:
		return provable(answer)
	}
}

// candidates returns, for each Dockerfile, the suggestions of which --apply makes the first one
// that may be applied: those that a build has to prove may turn out to be none.
func candidates(answer api.Suggest) []api.Suggestion {
	var list []api.Suggestion
	done := map[string]bool{}
	for _, one := range provable(answer) {
		if !done[one.File] {
			list = append(list, one)
			done[one.File] = one.Proof != string(suggest.Advice)
		}
	}
	return list
}

// firsts returns the first suggestion for each file.
func firsts(list []api.Suggestion) []api.Suggestion {
	done := map[string]bool{}
	return slices.DeleteFunc(slices.Clone(list), func(one api.Suggestion) bool {
		seen := done[one.File]
		done[one.File] = true
		return seen
	})
}

// verifyAll has the suggestions in list built and compared, one after the other or, with
// --all, together. It returns the outcomes by diff.
func (s *suggestOptions) verifyAll(ctx context.Context, query api.Query, answer api.Suggest, list []api.Suggestion) (map[string]*api.Verification, error) {
	req := api.VerifyRequest{Query: query, IfAllowed: !s.verify}
	req.Names = nil // other definitions of the same Dockerfile are concerned as well
	var diffs []string
	for _, one := range list {
		if !slices.Contains(diffs, one.Diff) {
			diffs = append(diffs, one.Diff)
			req.Candidates = append(req.Candidates, one.Changes)
		}
	}
	if s.all {
		req.Candidates = [][]api.FileChange{answer.Changes}
	}
	var err error
	if req.Secrets, req.SSH, err = s.offer.read(s.options); err != nil {
		return nil, err
	}
	found := map[string]*api.Verification{}
	_, err = ask(ctx, s.options, query.AdHoc != nil, func(src source) (struct{}, error) {
		return struct{}{}, src.Verify(ctx, req, func(e api.VerifyEvent) {
			switch {
			case e.Verification == nil || !s.all && e.Candidate >= len(diffs):
				s.progress(e)
			case s.all:
				for _, diff := range diffs {
					found[diff] = e.Verification
				}
			default:
				found[diffs[e.Candidate]] = e.Verification
			}
		})
	})
	return found, err
}

// applicable returns the suggestions that --apply may make: those that promise the
// same image.
func applicable(answer api.Suggest) []api.Suggestion {
	var list []api.Suggestion
	for _, d := range answer.Definitions {
		for _, one := range d.Suggestions {
			if one.Diff != "" && one.Proof != string(suggest.Advice) {
				list = append(list, one)
			}
		}
	}
	return list
}

// provable returns the suggestions of which a build can tell whether they leave the image as it is.
func provable(answer api.Suggest) []api.Suggestion {
	var list []api.Suggestion
	for _, d := range answer.Definitions {
		for _, one := range d.Suggestions {
			if one.Diff != "" && (one.Proof != string(suggest.Advice) || one.Provable) {
				list = append(list, one)
			}
		}
	}
	return list
}

// enter enters outcomes, which are by diff, into the suggestions of an answer, and
// moves those that would make another image to the withdrawn ones.
func enter(answer *api.Suggest, found map[string]*api.Verification) {
	for i := range answer.Definitions {
		d := &answer.Definitions[i]
		var kept []api.Suggestion
		for _, one := range d.Suggestions {
			v := found[one.Diff]
			if one.Diff == "" || one.Proof == string(suggest.Advice) && !one.Provable {
				v = nil
			}
			one.Verification = v
			switch {
			case v != nil && v.Outcome == api.VerifiedDiffers:
				d.Withdrawn = append(d.Withdrawn, one)
				continue
			case v != nil && v.Outcome == api.VerifiedEqual && len(v.Skipped) == 0:
				one.Proof, one.Obstacle = string(suggest.Verified), ""
			}
			kept = append(kept, one)
		}
		d.Suggestions = kept
		if kept == nil {
			d.Suggestions = []api.Suggestion{}
		}
	}
}

// withoutTexts removes the texts of changed files from an answer, which --json does
// not print.
func withoutTexts(answer api.Suggest) api.Suggest {
	for _, d := range answer.Definitions {
		for _, list := range [][]api.Suggestion{d.Suggestions, d.Withdrawn} {
			for i := range list {
				list[i].Changes = nil
			}
		}
	}
	return answer
}

// progress prints what is being built.
func (s *suggestOptions) progress(e api.VerifyEvent) {
	e = shown(e)
	switch e.State {
	case api.VerifyPlan:
		s.err.wrapped("", s.err.bold(e.Definition)+" "+e.Message)
	case api.VerifyBuild:
		s.err.line(s.err.bold(e.Definition), s.err.dim("building "+e.Message))
	}
}

// printWithdrawn prints the suggestions that --apply does not make, and why.
func (s *suggestOptions) printWithdrawn(answer api.Suggest) {
	p := s.err
	for _, d := range shown(answer).Definitions {
		p.withdrawn(d.Withdrawn)
		for _, one := range d.Suggestions {
			if one.Verification != nil && one.Verification.Outcome == api.VerifiedFailed {
				p.line("  " + p.bold(one.Title))
				p.verification(one)
				p.hintOf(one.Verification)
			}
		}
	}
}

// withdrawn prints suggestions with which the image would be another one.
func (p printer) withdrawn(list []api.Suggestion) {
	for i, one := range list {
		p.line("  " + p.bad("withdrawn") + "  " + p.bold(one.Title))
		p.wrapped("     ", p.dim(fmt.Sprintf("%s:%d  %s", one.File, one.Lines[0], one.Rule)))
		if i+1 < len(list) && reflect.DeepEqual(one.Verification, list[i+1].Verification) {
			continue // they were verified together
		}
		p.verification(one)
	}
}

// verification prints how the images before and after a suggestion compare.
func (p printer) verification(s api.Suggestion) {
	v := s.Verification
	if v == nil {
		return
	}
	switch v.Outcome {
	case api.VerifiedEqual:
		p.wrapped("     ", fmt.Sprintf("%s: %s in %s of %s, built before and after in %s",
			p.good("the same image"), plural(v.Files, "file"), plural(v.Images, "image"), strings.Join(v.Builds, ", "), seconds(v.Seconds)))
	case api.VerifiedDiffers:
		if v.Message != "" {
			p.wrapped("     ", p.bad(v.Message))
		}
		if v.Differing > 0 {
			p.wrapped("     ", p.bad("another image")+": "+plural(v.Differing, "difference"))
			p.differences(v.Differences, v.Differing)
		}
	default:
		p.wrapped("     ", p.warn("not verified: ")+v.Message)
	}
	if len(v.Edited) > 0 {
		p.wrapped("     ", "the image holds a copy of what is edited, which becomes another:")
		p.differences(v.Edited, len(v.Edited))
	}
	if v.NotCovered > 0 {
		p.wrapped("     ", fmt.Sprintf("not covered by this are %s that two builds as it is make differently:", plural(v.NotCovered, "thing")))
		p.differences(v.Varying, v.NotCovered)
	}
	if v.Outcome == api.VerifiedEqual {
		for _, text := range v.Skipped {
			p.wrapped("     ", p.warn("not verified for ")+text)
		}
	}
}

// differences prints up to mostShown differences of images, one per line. total is how
// many there are, which may be more than the list has.
func (p printer) differences(list []api.ImageDifference, total int) {
	for i, d := range list {
		if i == mostShown {
			break
		}
		text := d.Path
		if text == "" {
			text = "(" + d.What + ")"
		} else if d.What != "edited" {
			text += "  " + d.What
		}
		if d.Platform != "" {
			text = d.Platform + "  " + text
		}
		p.line("       " + strings.TrimRight(text+"  "+d.Detail, " "))
	}
	if more := total - min(len(list), mostShown); more > 0 {
		p.line(p.dim(fmt.Sprintf("       and %d more", more)))
	}
}

// hintOf prints what to do about a verification that was not possible.
func (p printer) hintOf(v *api.Verification) {
	if v.Hint != "" {
		p.line(p.dim("hint:"), v.Hint)
	}
}

// Verify verifies as the daemon does, on a builder that it looks for itself.
func (l *local) Verify(ctx context.Context, req api.VerifyRequest, progress func(api.VerifyEvent)) error {
	p, err := l.withoutFindings().picture(ctx, req.Query)
	if err != nil {
		return err
	}
	if req.IfAllowed && !p.Allowed {
		return &api.Error{Code: api.NotAllowed, Message: "the repository is not allowed, so nothing of it is built unasked"}
	}
	node, done, err := l.connect(ctx, p.Config.Builder)
	if err != nil {
		return err
	}
	defer done()
	return verify.Run(ctx, verify.Job{Builder: node, Where: node.Info().Name, Picture: p, Request: req, Tell: progress})
}
