package advise

import (
	"context"
	"path/filepath"
	"slices"

	"github.com/stokerd/stoker/internal/project"
	"github.com/stokerd/stoker/internal/suggest"
)

// mostTogether bounds how many suggestions are applied one after another: far more than the
// rules ever propose for a repository.
const mostTogether = 100

// Together applies suggestions one after another, in memory, until none is left that can be
// applied. It goes through builds again and again, as a change for one may allow another
// for one before. The suggestions of each answer are first those that were applied, in that
// order: the changes of each start from the texts that all applied before have made. After
// them comes the advice on the final texts. rules are those to run; empty runs all. The
// changes returned are what all suggestions together make of each file.
func Together(ctx context.Context, o *project.Opener, p *project.Picture, builds []*project.Build, h History, costs Costs, rules []string) ([]Answer, []suggest.Change) {
	answers := make([]Answer, len(builds))
	var made []suggest.Change
	now, count, seen, r := p, 0, texts{}, newRound(h, costs, rules)
	for i := range builds {
		answers[i].Build = builds[i]
	}
	for again := true; again; {
		again = false
		for i, b := range builds {
			for ctx.Err() == nil {
				b, _ := now.Find(b.Definition.Name)
				a := r.of(ctx, now, b)
				next := slices.IndexFunc(a.Suggestions, func(s suggest.Suggestion) bool { return s.Proof != suggest.Advice && seen.news(s.Changes) })
				if next < 0 || count == mostTogether {
					answers[i].rest, answers[i].Unread = a.Suggestions, a.Unread
					break
				}
				again, count = true, count+1
				apply := a.Suggestions[next]
				made = append(made, apply.Changes...)
				answers[i].Suggestions = append(answers[i].Suggestions, apply)
				edits := map[string][]byte{}
				for _, c := range apply.Changes {
					edits[filepath.Join(p.Root, filepath.FromSlash(c.Path))] = c.New
				}
				now = o.With(ctx, now, edits)
			}
		}
	}
	for i := range answers {
		for _, s := range answers[i].rest {
			if s.Proof == suggest.Advice {
				answers[i].Suggestions = append(answers[i].Suggestions, s)
			}
		}
	}
	return answers, sum(made)
}

// texts are the texts that files have had so far, by path.
type texts map[string][]string

// news reports whether one of the changes gives its file a text that it has not had yet, and
// if so records the texts of all. Otherwise two rules that undo each other's changes would
// go on for ever.
func (t texts) news(changes []suggest.Change) bool {
	fresh := false
	for _, c := range changes {
		fresh = fresh || !slices.Contains(t[c.Path], string(c.New))
	}
	if fresh {
		for _, c := range changes {
			t[c.Path] = append(t[c.Path], string(c.Old), string(c.New))
		}
	}
	return fresh
}

// sum combines changes that were made one after another into one per file.
func sum(changes []suggest.Change) []suggest.Change {
	var list []suggest.Change
	for _, c := range changes {
		if i := slices.IndexFunc(list, func(have suggest.Change) bool { return have.Path == c.Path }); i >= 0 {
			list[i].New = c.New
		} else {
			list = append(list, c)
		}
	}
	return list
}
