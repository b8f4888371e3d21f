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
	var found []Suggestion
	lines := map[string][]string{} // on which the same is said, by rule and title
	for _, w := range in.Builds[0].Plan.Warnings {
		text := strings.TrimPrefix(w.Message, w.Rule+": ")
		text = strings.TrimSuffix(text, fmt.Sprintf(" (line %d)", w.Line))
		s := Suggestion{
			Rule: config.BuildKitRules + w.Rule, Title: text, Lines: dockerfile.Lines{From: w.Line, To: w.Line}, Proof: Advice, URL: w.URL,
			Evidence: "Each build prints it as a warning of the check " + w.Rule + ".",
			Obstacle: "the check does not say what to write instead; its page does",
		}
		_, told := toldBy(s.Rule)
		at := slices.IndexFunc(found, func(o Suggestion) bool { return !told && o.Rule == s.Rule && o.Title == s.Title })
		lines[s.Rule+s.Title] = append(lines[s.Rule+s.Title], fmt.Sprint(w.Line))
		if at < 0 {
			found = append(found, s)
			continue
		}
		found[at].Evidence = fmt.Sprintf("Each build prints it as a warning of the check %s, for lines %s.", w.Rule, list(lines[s.Rule+s.Title], "and"))
	}
	return found
}

// toldBy returns the rule of ours that says the same as a check, with more.
func toldBy(check string) (rule string, ok bool) {
	switch check {
	case config.BuildKitRules + "JSONArgsRecommended":
		return "exec-form", true
	case config.BuildKitRules + "SecretsUsedInArgOrEnv":
		return "secret-in-layer", true
	}
	return "", false
}

// repeats reports a check of BuildKit's on lines of which a rule of ours, whose
// suggestion is in the list, says the same.
func (s Suggestion) repeats(list []Suggestion) bool {
	rule, ok := toldBy(s.Rule)
	return ok && slices.ContainsFunc(list, func(o Suggestion) bool {
		return o.Rule == rule && o.Lines.From <= s.Lines.From && s.Lines.To <= o.Lines.To
	})
}
