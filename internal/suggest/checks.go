package suggest

import (
	"fmt"
	"regexp"
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
	lines := map[string][]int{} // on which the same is said, by rule and title
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
		lines[s.Rule+s.Title] = append(lines[s.Rule+s.Title], w.Line)
		if at < 0 {
			found = append(found, s)
			continue
		}
		found[at].Evidence = fmt.Sprintf("Each build prints it as a warning of the check %s, for lines %s.", w.Rule, numbers(lines[s.Rule+s.Title]))
	}
	for i, s := range found {
		if change, ok := in.checked(s.Rule, s.Title, lines[s.Rule+s.Title]); ok {
			found[i].Proof, found[i].Obstacle, found[i].Changes = ByConstruction, "", []Change{change}
		}
	}
	return found
}

func numbers(lines []int) string {
	var words []string
	for _, n := range lines {
		words = append(words, fmt.Sprint(n))
	}
	return list(words, "and")
}

// checked returns the Dockerfile with these lines as a check wants them, where that
// is only another way to write the same.
func (in Input) checked(check, title string, lines []int) (Change, bool) {
	var edits []dockerfile.Edit
	for _, line := range lines {
		at := dockerfile.Lines{From: line, To: line}
		source := in.File.Source(at)
		text, ok := asChecked(strings.TrimPrefix(check, config.BuildKitRules), title, source)
		if !ok {
			return Change{}, false
		}
		edits = append(edits, dockerfile.Edit{Lines: at, Text: text})
	}
	change, err := rewrite(in, 0, edits...)
	return change, err == nil && in.sameImages(change.New)
}

var (
	fromAs     = regexp.MustCompile(`^(\s*)(FROM|from)(\s+\S.*\s)([aA][sS])(\s+\S+\s*)$`)
	legacyPair = regexp.MustCompile(`^(\s*(?i:ENV|LABEL)\s+[\w.-]+)\s+([^\s\\]|[^\s\\][^\\]*[^\s\\])(\s*)$`)
	keyword    = regexp.MustCompile(`^(\s*)([A-Za-z]+)(\s[\s\S]*)$`)
)

// asChecked writes a line of a Dockerfile as a check wants it; false for a check that
// asks for more than another spelling, and for a line that is not all of its
// instruction where that matters.
func asChecked(check, title, line string) (string, bool) {
	switch check {
	case "FromAsCasing":
		if m := fromAs.FindStringSubmatch(line); m != nil {
			as := "AS"
			if m[2] == "from" {
				as = "as"
			}
			return m[1] + m[2] + m[3] + as + m[5], true
		}
	case "LegacyKeyValueFormat":
		if m := legacyPair.FindStringSubmatch(line); m != nil {
			value := m[2]
			switch {
			case !strings.ContainsAny(value, " \t"), value[0] == '"' && strings.Index(value[1:], `"`) == len(value)-2:
			case strings.ContainsAny(value, `"'`):
				return "", false
			default:
				value = `"` + value + `"`
			}
			return m[1] + "=" + value + m[3], true
		}
	case "ConsistentInstructionCasing":
		if m := keyword.FindStringSubmatch(line); m != nil {
			word := strings.ToUpper(m[2])
			if strings.HasSuffix(title, "(lowercase)") {
				word = strings.ToLower(m[2])
			}
			return m[1] + word + m[3], true
		}
	}
	return "", false
}

// sameImages holds that every build that takes the file as it is has the very same
// steps and images with another text.
func (in Input) sameImages(text []byte) bool {
	for _, b := range in.Builds {
		if b.Convert == nil {
			return false
		}
		before, err := b.Convert(in.File.Text)
		if err != nil {
			continue
		}
		after, err := b.Convert(text)
		if err != nil || !slices.Equal(definitions(before), definitions(after)) || !slices.Equal(before.Configs, after.Configs) {
			return false
		}
	}
	return true
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
