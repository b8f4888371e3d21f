package cli

import (
	"slices"
	"testing"

	"github.com/stokerd/stoker/internal/api"
)

// Of advice that a build can prove, --verify has all built, and --apply what stands above the
// first change that needs no proof. Proven, it may be applied; else it stays advice or is withdrawn.
func TestAdviceIsProven(t *testing.T) {
	answer := func() api.Suggest {
		return api.Suggest{Definitions: []api.SuggestDefinition{{Suggestions: []api.Suggestion{
			{Title: "other", File: "Dockerfile", Proof: "advice", Obstacle: "yours to say", Diff: "0"},
			{Title: "doubt", File: "Dockerfile", Proof: "advice", Obstacle: "a link", Provable: true, Diff: "1"},
			{Title: "sure", File: "Dockerfile", Proof: "by-construction", Diff: "2"},
			{Title: "late", File: "Dockerfile", Proof: "advice", Obstacle: "a link", Provable: true, Diff: "3"},
		}}}}
	}
	titles := func(list []api.Suggestion) (names []string) {
		for _, s := range list {
			names = append(names, s.Title)
		}
		return names
	}
	for _, c := range []struct {
		options suggestOptions
		want    []string
	}{
		{suggestOptions{verify: true}, []string{"doubt", "sure", "late"}},
		{suggestOptions{apply: true}, []string{"doubt", "sure"}},
		{suggestOptions{apply: true, verify: true}, []string{"doubt", "sure"}},
		{suggestOptions{apply: true, all: true}, []string{"sure"}},
		{suggestOptions{diff: true, all: true}, nil},
		{suggestOptions{apply: true, noVerify: true}, nil},
	} {
		if got := titles(c.options.toProve(answer())); !slices.Equal(got, c.want) {
			t.Errorf("%+v: %q is proven, want %q", c.options, got, c.want)
		}
	}
	for outcome, want := range map[string]struct{ proof, applied string }{
		api.VerifiedEqual:   {"verified", "doubt"},
		api.VerifiedDiffers: {"withdrawn", "sure"},
		api.VerifiedFailed:  {"advice", "sure"},
	} {
		a := answer()
		enter(&a, map[string]*api.Verification{"1": {Outcome: outcome}, "2": {Outcome: api.VerifiedEqual}})
		d, proof := a.Definitions[0], "withdrawn"
		for _, s := range d.Suggestions {
			if s.Title == "doubt" {
				proof = s.Proof
			}
		}
		if (proof == "withdrawn") != (len(d.Withdrawn) == 1) || proof != want.proof {
			t.Errorf("%s: it is %s, withdrawn are %q", outcome, proof, titles(d.Withdrawn))
		}
		if got := titles(best(a)); !slices.Equal(got, []string{want.applied}) {
			t.Errorf("%s: %q is applied, want %s", outcome, got, want.applied)
		}
	}
}
