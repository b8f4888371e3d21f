package suggest

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/config"
)

// buildkitChecks passes on what BuildKit's own checks of the Dockerfile say: one suggestion for
// all lines with the same warning, or one for each line if a rule of ours may tell the same of
// some of them. See docs/rules/buildkit.md.
func buildkitChecks(in Input) []Suggestion {
	if in.Builds[0].Plan == nil {
		return nil
	}
	var found []Suggestion
	lines := map[string][]int{} // of all warnings with a rule and title
	for _, w := range in.Builds[0].Plan.Warnings {
		text := strings.TrimPrefix(w.Message, w.Rule+": ")
		text = strings.TrimSuffix(text, fmt.Sprintf(" (line %d)", w.Line))
		s := Suggestion{
			Rule: config.BuildKitRules + w.Rule, Title: text, Lines: dockerfile.Lines{From: w.Line, To: w.Line}, Proof: Advice, URL: w.URL,
			Evidence: "Each build prints it as a warning of the check " + w.Rule + ".",
			Obstacle: "the check does not say what to write instead; its page does",
		}
		if why := in.warnedInVain(w); why != "" {
			s.Obstacle = "no secret stands there, as " + why + ": `# check=skip=" + secretCheck + "` at the top silences the check, for all variables of the file"
		}
		same := s.Rule + s.Title
		lines[same] = append(lines[same], w.Line)
		_, told := toldBy(s.Rule)
		at := slices.IndexFunc(found, func(o Suggestion) bool { return !told && o.Rule == s.Rule && o.Title == s.Title })
		if at < 0 {
			found = append(found, s)
			continue
		}
		found[at].Evidence = fmt.Sprintf("Each build prints it as a warning of the check %s, for lines %s.", w.Rule, numbers(lines[same]))
	}
	for i, s := range found {
		if change, ok := in.checked(s.Rule, s.Title, lines[s.Rule+s.Title]); ok {
			found[i].Proof, found[i].Obstacle, found[i].Changes = ByConstruction, "", []Change{change}
		}
	}
	return found
}

// warnedInVain returns why a warning that a variable holds a secret is none to heed, or "".
func (in Input) warnedInVain(w dockerfile.Warning) string {
	for _, st := range in.File.Stages {
		for _, ins := range st.Instructions {
			for _, v := range ins.Vars {
				if warnsOf(w, ins, v) {
					return noSecret(ins, v)
				}
			}
		}
	}
	return ""
}

// numbers returns line numbers as an enumeration.
func numbers(lines []int) string {
	var words []string
	for _, n := range lines {
		words = append(words, fmt.Sprint(n))
	}
	return list(words, "and")
}

// checked returns the change of some lines to what a check wants. It reports false unless that is
// only another spelling, by which no build changes.
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

// asChecked returns a line of a Dockerfile as a check wants it. It reports false if the check
// wants more than another spelling, or if the line is not understood: it may be only a part of
// its instruction.
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

// sameImages reports whether each build that converts as the Dockerfile is has the same
// operations and image configurations with another text.
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

// toldBy returns the rule of ours that says the same as a check, in more detail.
func toldBy(check string) (rule string, ok bool) {
	switch check {
	case config.BuildKitRules + "JSONArgsRecommended":
		return "exec-form", true
	case config.BuildKitRules + secretCheck:
		return "secret-in-layer", true
	}
	return "", false
}

// repeats reports whether s is of a check of BuildKit, and the list has a suggestion of ours that
// says the same of its lines.
func (s Suggestion) repeats(list []Suggestion) bool {
	rule, ok := toldBy(s.Rule)
	return ok && slices.ContainsFunc(list, func(o Suggestion) bool {
		return o.Rule == rule && o.Lines.From <= s.Lines.From && s.Lines.To <= o.Lines.To
	})
}
