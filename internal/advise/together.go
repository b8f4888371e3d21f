package advise

import (
	"context"
	"path/filepath"
	"slices"

	"github.com/stokerd/stoker/internal/project"
	"github.com/stokerd/stoker/internal/suggest"
)

// mostTogether bounds how many changes are made upon each other: far more than
// the rules ever propose for a repository.
const mostTogether = 100

// Together is Suggest with each change made upon those before it, until none is
// left that can be applied: the suggestions of an answer that can be are in that
// order, and each says what it does to the texts that those before it made, in this
// answer and in the ones before. What is advice is said of the last texts. rules are
// those to ask; none asks all. What all of them make of each file comes with them.
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
				made = append(made, a.Suggestions[next].Changes...)
				edits := map[string][]byte{}
				for _, c := range a.Suggestions[next].Changes {
					edits[filepath.Join(p.Root, filepath.FromSlash(c.Path))] = c.New
				}
				now = o.With(ctx, now, edits)
				answers[i].Suggestions = append(answers[i].Suggestions, a.Suggestions[next])
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

// texts are those that files have had, by path.
type texts map[string][]string

// news reports changes of which one makes a text that its file has not had: two
// rules that take back what the other does would never end. It notes them.
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

// sum returns changes that were made upon each other as one of each file.
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
