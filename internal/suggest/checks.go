package suggest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/config"
)

// buildkitChecks shows what BuildKit's own checks of the Dockerfile say. See
// docs/rules/buildkit.md.
func buildkitChecks(in Input) []Suggestion {
	if in.Builds[0].Plan == nil {
		return nil
	}
	var list []Suggestion
	for _, w := range in.Builds[0].Plan.Warnings {
		text := strings.TrimPrefix(w.Message, w.Rule+": ")
		text = strings.TrimSuffix(text, fmt.Sprintf(" (line %d)", w.Line))
		list = append(list, Suggestion{
			Rule: config.BuildKitRules + w.Rule, Title: text, Lines: dockerfile.Lines{From: w.Line, To: w.Line}, Proof: Advice, URL: w.URL,
			Evidence: "Each build prints it as a warning of the check " + w.Rule + ".",
			Obstacle: "the check names no mend; its page does",
		})
	}
	return list
}

// repeats reports a check of BuildKit's on lines of which a rule of ours, whose
// suggestion is in the list, says the same with more.
func (s Suggestion) repeats(list []Suggestion) bool {
	same := map[string]string{
		config.BuildKitRules + "JSONArgsRecommended":   "exec-form",
		config.BuildKitRules + "SecretsUsedInArgOrEnv": "secret-in-layer",
	}
	rule, ok := same[s.Rule]
	return ok && slices.ContainsFunc(list, func(o Suggestion) bool {
		return o.Rule == rule && o.Lines.From <= s.Lines.From && s.Lines.To <= o.Lines.To
	})
}
