package cli

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/suggest"
)

// narrow leaves the suggestions of the rules that were asked for.
func (s *suggestOptions) narrow(answer *api.Suggest) {
	if len(s.rules) == 0 {
		return
	}
	for i, d := range answer.Definitions {
		if d.Problem != "" {
			continue
		}
		list := slices.DeleteFunc(slices.Clone(d.Suggestions), func(one api.Suggestion) bool { return !slices.Contains(s.rules, one.Rule) })
		d.Suggestions = list
		if len(list) == 0 {
			d.Suggestions, d.Content = []api.Suggestion{}, "nothing to change by "+strings.Join(s.rules, ", ")
		}
		answer.Definitions[i] = d
	}
}

// best returns the first suggestion for each Dockerfile that may be applied: a
// second one may concern the same lines, and is asked for again once the first
// is made.
func best(answer api.Suggest) []api.Suggestion {
	var list []api.Suggestion
	done := map[string]bool{}
	for _, d := range answer.Definitions {
		for _, s := range d.Suggestions {
			if s.Diff != "" && s.Proof != string(suggest.Advice) && !done[s.File] {
				done[s.File] = true
				list = append(list, s)
			}
		}
	}
	return list
}

// printDiffs prints what --apply would do. With --rule it prints the proposals
// of advice as well, which --apply leaves to the reader.
func (s *suggestOptions) printDiffs(answer api.Suggest) {
	if s.all {
		s.out.diff(suggest.Suggestion{Changes: s.changes(answer, nil)}.Diff())
		return
	}
	list := best(answer)
	if len(s.rules) > 0 {
		for _, d := range answer.Definitions {
			for _, one := range d.Suggestions {
				if one.Proof == string(suggest.Advice) {
					list = append(list, one)
				}
			}
		}
	}
	s.out.diff(suggest.Suggestion{Changes: suggest.Join(s.changes(answer, list))}.Diff())
}

// diff prints a change. A terminal gets it made visible; what reads it as a patch
// needs every byte.
func (p printer) diff(text string) {
	if p.height == 0 {
		p.printf("%s", text)
		return
	}
	for line := range strings.Lines(text) {
		p.line(visible(strings.ReplaceAll(strings.TrimSuffix(line, "\n"), "\t", "    "), nil))
	}
}

func (s *suggestOptions) print(answer api.Suggest) {
	p, answer := s.out, shown(answer)
	content := map[string][]string{} // what is said of builds that need nothing
	told := map[advice]reference{}
	for i, d := range answer.Definitions {
		switch {
		case d.Problem != "":
			p.problem(d.Name, d.Problem, d.Hint)
		case len(d.Suggestions)+len(d.Withdrawn) == 0:
			content[d.Content] = append(content[d.Content], d.Name)
			continue
		case i > 0 && slices.ContainsFunc(answer.Definitions[:i], func(o api.SuggestDefinition) bool { return likewise(o, d) }):
			continue // told with the first of them
		default:
			names := []string{d.Name}
			for _, other := range answer.Definitions[i+1:] {
				if likewise(d, other) {
					names = append(names, other.Name)
				}
			}
			p.line(p.bold(strings.Join(names, ", ")))
			p.suggestions(d, told)
			p.withdrawn(d.Withdrawn)
		}
		p.line()
	}
	for _, text := range slices.Sorted(maps.Keys(content)) {
		p.wrapped("", p.bold(strings.Join(content[text], ", "))+": "+text)
	}
	if answer.Note != "" && len(content) < len(answer.Definitions) {
		p.wrapped("", p.warn("note: ")+answer.Note)
	}
	if len(answer.Definitions) == 0 {
		s.err.line("nothing to build was found: write a Dockerfile, or name what is built under `builds` in stoker.yaml")
	}
	if len(best(answer)) > 0 {
		s.hint("stoker suggest --diff shows the best change, --apply makes it; with --all it goes on until none is left")
	}
}

// likewise reports definitions of which the same is said.
func likewise(a, b api.SuggestDefinition) bool {
	return a.Problem == "" && b.Problem == "" && len(a.Suggestions)+len(a.Withdrawn) > 0 &&
		reflect.DeepEqual(a.Suggestions, b.Suggestions) && reflect.DeepEqual(a.Withdrawn, b.Withdrawn)
}

// An advice is what makes one of two definitions the same to a reader.
type advice struct{ rule, title, file, evidence, obstacle string }

func adviceOf(s api.Suggestion) advice {
	return advice{s.Rule, s.Title, s.File, s.Evidence, s.Obstacle}
}

// A reference is where an advice was told: the definition, and its number there.
type reference struct {
	definition string
	number     int
}

// suggestions prints what can be applied, and then advice: in full where it was not
// told of an earlier definition, and once where it is the same on several lines.
func (p printer) suggestions(d api.SuggestDefinition, told map[advice]reference) {
	elsewhere := map[string][]string{} // numbers by definition
	var order []string
	advising, above := false, 0 // advice is being printed, and how many are
	for n := 0; n < len(d.Suggestions); n++ {
		one := d.Suggestions[n]
		if at, ok := told[adviceOf(one)]; ok && idle(one) && at.definition != d.Name {
			if elsewhere[at.definition] == nil {
				order = append(order, at.definition)
			}
			elsewhere[at.definition] = append(elsewhere[at.definition], fmt.Sprint(at.number))
			continue
		}
		if idle(one) && !advising && above > 0 {
			p.line(p.dim("  advice"))
		}
		advising = advising || idle(one)
		p.suggestion(above+1, one)
		alike := 0
		for alike < len(d.Suggestions)-n-1 && likeAdvice(one, d.Suggestions[n+alike+1]) {
			alike++
		}
		if alike < 2 {
			alike = 0 // one more is as well told in full
		}
		var lines []string
		for i, other := range d.Suggestions[n : n+alike+1] {
			told[adviceOf(other)] = reference{d.Name, above + i + 1}
			lines = append(lines, fmt.Sprint(other.Lines[0]))
		}
		if alike > 0 {
			p.wrapped(fmt.Sprintf("  %d-%d  ", above+2, above+alike+1), "likewise on the lines "+series(lines[1:]))
		}
		n, above = n+alike, above+alike+1
	}
	for _, name := range order {
		p.wrapped("  ", p.dim("and as for "+name+": "+series(elsewhere[name])))
	}
}

// likeAdvice reports two suggestions that say the same of different lines, and that
// are for the reader to apply.
func likeAdvice(a, b api.Suggestion) bool {
	return a.Proof == string(suggest.Advice) && a.Proof == b.Proof && a.Rule == b.Rule && a.Title == b.Title && a.File == b.File && idle(a) == idle(b)
}

// series writes words as a list.
func series(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}

// idle reports advice that is not ranked by the time that it saves.
func idle(s api.Suggestion) bool { return s.Proof == string(suggest.Advice) && s.SavesSeconds == 0 }

// about writes bytes, which are a guess from a table where nothing else of the
// suggestion has its costs from one.
func about(n int64, saved float64, costs string) string {
	if costs == suggest.Prior && saved == 0 {
		return "about " + bytes(n)
	}
	return bytes(n)
}

// saving says what a suggestion saves, or that nothing can be told.
func (p printer) saving(s api.Suggestion) string {
	var list []string
	if s.SavesSeconds > 0 {
		text := p.good("saves " + seconds(s.SavesSeconds) + " per build")
		if s.SavesSecondsPerWeek >= 60 {
			text += p.dim(", " + age(time.Duration(s.SavesSecondsPerWeek*float64(time.Second))) + " a week")
		}
		list = append(list, text)
	}
	if s.SavesBytes > 0 {
		of := "of the image"
		if s.BytesOf == suggest.Transfer {
			of = "of what is sent"
		}
		list = append(list, p.good("saves "+about(s.SavesBytes, s.SavesSeconds, s.Costs)+" "+of))
	}
	return strings.Join(list, ", ")
}

func (p printer) suggestion(n int, s api.Suggestion) {
	saves := p.saving(s)
	if saves != "" {
		saves = "  " + saves
	}
	p.wrapped(fmt.Sprintf("  %d  ", n), p.bold(s.Title)+saves)
	place := fmt.Sprintf("%s:%d", s.File, s.Lines[0])
	if s.Lines[1] > s.Lines[0] {
		place += fmt.Sprintf("-%d", s.Lines[1])
	}
	place += "  " + s.Rule + ", " + s.Proof
	if s.Costs != "" {
		place += ", " + s.Costs + " costs"
	} else {
		place += ", no predicted saving"
	}
	p.wrapped("     ", p.dim(place))
	p.wrapped("     ", s.Evidence)
	if s.HitRate.Before != s.HitRate.After {
		p.line(fmt.Sprintf("     hit rate %s → %s", percent(s.HitRate.Before), percent(s.HitRate.After)))
	}
	p.verification(s)
	switch {
	case s.Obstacle != "" && s.Diff != "":
		p.wrapped("     ", p.warn("not applied: ")+s.Obstacle+"; stoker suggest --rule "+s.Rule+" --diff shows it")
	case s.Obstacle != "":
		p.wrapped("     ", p.warn("no edit: ")+s.Obstacle)
	}
	if s.URL != "" {
		p.line("     " + p.dim(s.URL))
	}
}
