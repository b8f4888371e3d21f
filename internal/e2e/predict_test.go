package e2e_test

import (
	"testing"

	"github.com/stokerd/stoker/internal/api"
)

// TestPredictAfterProof: proving a suggestion leaves several results of the same
// steps on the builder, of builds that no record tells of. What is warmed from
// them is known to hit, and does.
func TestPredictAfterProof(t *testing.T) {
	t.Parallel()
	u := newUser(t, "prewarm: {level: off}\n")
	u.slowShop(everythingFirst)
	u.must("up", "--allow")
	u.must("suggest", "--apply", "--rule", "manifests-first")
	u.must("warm", "--level", "all")
	steps := 0
	for _, d := range read[api.Predict](u, "predict").Definitions {
		for _, s := range d.Steps {
			if steps++; s.Outcome != "hit" {
				t.Errorf("%s is predicted to be a %s: %+v", s.Name, s.Outcome, s.Cause)
			}
		}
	}
	if got := u.build("."); got.hits() != len(got) || len(got) != steps {
		t.Errorf("the next build, of %d steps: %v", steps, got)
	}
}
