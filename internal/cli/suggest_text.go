package cli

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/suggest"
)

// narrow removes from answer the suggestions of rules that --rule does not name.
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

// best returns the first suggestion for each Dockerfile that may be applied. Others
// may concern the same lines, so the user asks again once the first is made.
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

// diff prints a unified diff. On a terminal control characters are made visible; a
// pipe gets every byte, as a patch must.
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
	content := map[string][]string{} // names of builds without suggestions, by the reason
	told := map[advice]reference{}
	for i, d := range answer.Definitions {
		switch {
		case d.Problem != "":
			p.problem(d.Name, d.Problem, d.Hint)
		case len(d.Suggestions)+len(d.Withdrawn) == 0:
			content[d.Content] = append(content[d.Content], d.Name)
			continue
		case i > 0 && slices.ContainsFunc(answer.Definitions[:i], func(o api.SuggestDefinition) bool { return likewise(o, d) }):
			continue // printed with the first of them
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

// likewise reports whether two definitions have the same suggestions.
func likewise(a, b api.SuggestDefinition) bool {
	return a.Problem == "" && b.Problem == "" && len(a.Suggestions)+len(a.Withdrawn) > 0 &&
		reflect.DeepEqual(a.Suggestions, b.Suggestions) && reflect.DeepEqual(a.Withdrawn, b.Withdrawn)
}

// An advice is what identifies a suggestion to a reader. One that several definitions have is
// printed in full only once.
type advice struct {
	rule, title, file, evidence, obstacle string
	lines                                 [2]int
}

func adviceOf(s api.Suggestion) advice {
	return advice{s.Rule, s.Title, s.File, s.Evidence, s.Obstacle, s.Lines}
}

// anywhere returns the advice without its place. Of two that differ only in that, the second one
// is printed with a reference to the first, in place of why and what to do.
func (a advice) anywhere() advice {
	a.file, a.lines = "", [2]int{}
	return a
}

// A reference is where an advice was printed: below which definition, as which number.
type reference struct {
	definition string
	number     int
}

// from returns the reference in words, for the reader of what is printed for a definition.
func (r reference) from(definition string) string {
	if r.definition == definition {
		return fmt.Sprint("as ", r.number)
	}
	return fmt.Sprintf("as for %s: %d", r.definition, r.number)
}

// suggestions prints the suggestions of a definition: those that can be applied, and
// then advice. told holds what was printed for earlier definitions: idle advice that is
// among it is only referred to. suggestions adds to it what it prints.
func (p printer) suggestions(d api.SuggestDefinition, told map[advice]reference) {
	elsewhere := map[string][]string{} // numbers by definition
	var order []string                 // of the definitions
	advising, number := false, 1       // whether the heading is printed, and the next number
	for rest := d.Suggestions; len(rest) > 0; {
		first := rest[0]
		if at, ok := told[adviceOf(first)]; ok && idle(first) && at.definition != d.Name {
			if elsewhere[at.definition] == nil {
				order = append(order, at.definition)
			}
			elsewhere[at.definition] = append(elsewhere[at.definition], fmt.Sprint(at.number))
			rest = rest[1:]
			continue
		}
		if idle(first) && !advising && number > 1 {
			p.line(p.dim("  advice"))
		}
		advising = advising || idle(first)
		n := alikeAdvice(rest)
		like := ""
		if at, ok := told[adviceOf(first).anywhere()]; ok {
			like = at.from(d.Name)
		}
		p.suggestion(number, first, like)
		if n > 1 {
			p.wrapped(fmt.Sprintf("  %d-%d  ", number+1, number+n-1), "likewise on the lines "+firstLines(rest[1:n]))
		}
		for i, one := range rest[:n] {
			at := reference{d.Name, number + i}
			told[adviceOf(one)] = at
			if _, ok := told[adviceOf(one).anywhere()]; !ok {
				told[adviceOf(one).anywhere()] = at
			}
		}
		number += n
		rest = rest[n:]
	}
	for _, name := range order {
		p.wrapped("  ", p.dim("and as for "+name+": "+series(elsewhere[name])))
	}
}

// alikeAdvice returns how many suggestions at the beginning of list are printed as
// one, which is 1 unless at least three are alike. Of several for one line each says
// what its own evidence is.
func alikeAdvice(list []api.Suggestion) int {
	n := 1
	sameLine := func(s api.Suggestion) bool { return s.Lines[0] == list[n].Lines[0] }
	for n < len(list) && likeAdvice(list[0], list[n]) && !slices.ContainsFunc(list[:n], sameLine) {
		n++
	}
	if n < 3 {
		return 1
	}
	return n
}

// firstLines lists the first line of each suggestion: "3, 7 and 9".
func firstLines(list []api.Suggestion) string {
	var lines []string
	for _, s := range list {
		lines = append(lines, fmt.Sprint(s.Lines[0]))
	}
	return series(lines)
}

// likeAdvice reports whether two suggestions are the same advice for different lines.
func likeAdvice(a, b api.Suggestion) bool {
	return a.Proof == string(suggest.Advice) && a.Proof == b.Proof && a.Rule == b.Rule && a.Title == b.Title && a.File == b.File && idle(a) == idle(b)
}

// series joins words to a list: "a, b and c".
func series(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}

// idle reports whether s is advice that saves no time to speak of, so that its rank says nothing.
func idle(s api.Suggestion) bool {
	return s.Proof == string(suggest.Advice) && suggest.Little(s.SavesSeconds, s.SavesSecondsPerWeek)
}

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
	switch little := suggest.Little(s.SavesSeconds, s.SavesSecondsPerWeek); {
	case little && s.SavesSeconds > 0 && s.SavesBytes == 0:
		list = append(list, p.dim("saves little time"))
	case !little:
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

// suggestion prints one suggestion, as number n of its definition. like refers to where the same
// was printed for another file, and takes the place of why and what to do; it is "" for one that is
// printed in full.
func (p printer) suggestion(n int, s api.Suggestion, like string) {
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
	p.wrapped("     ", cmp.Or(like, s.Evidence))
	if s.HitRate.Before != s.HitRate.After {
		p.line(fmt.Sprintf("     hit rate %s → %s", percent(s.HitRate.Before), percent(s.HitRate.After)))
	}
	p.verification(s)
	switch {
	case like != "":
		return
	case s.Provable && s.Diff != "" && s.Obstacle != "":
		p.wrapped("     ", p.warn("not proven: ")+s.Obstacle+"; stoker suggest --verify builds both and compares")
	case s.Obstacle != "" && s.Diff != "":
		p.wrapped("     ", p.warn("not applied: ")+s.Obstacle+"; stoker suggest --rule "+s.Rule+" --diff shows it")
	case s.Obstacle != "":
		p.wrapped("     ", p.warn("no edit: ")+s.Obstacle)
	}
	if s.URL != "" {
		p.line("     " + p.dim(s.URL))
	}
}
