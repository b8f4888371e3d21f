package advise

import (
	"context"
	"slices"

	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/internal/project"
	"github.com/stokerd/stoker/internal/suggest"
)

// A round asks the rules about builds of a picture, and of those that [project.Opener.With]
// makes of it: what a change does not touch is computed once. It is not safe for
// concurrent use.
type round struct {
	history History
	costs   Costs
	rules   []string // those to ask; none asks all
	loads   map[*buildctx.Selection]*load
	paths   map[string]int // the number of each in loads
	answers map[*project.Build]said
}

// said is an answer, and what it was given on.
type said struct {
	answer Answer
	on     basis
	asked  bool // what the sharers copy was looked at
}

// A basis is what an answer hangs on of other builds than its own.
type basis struct {
	group   []*project.Build // those of the Dockerfile, the one asked about first
	beside  []suggest.Neighbour
	sharers [][]*project.Build // of the ignore file of each of group
}

func newRound(h History, costs Costs, rules []string) *round {
	return &round{
		history: h, costs: costs, rules: rules,
		loads: map[*buildctx.Selection]*load{}, paths: map[string]int{}, answers: map[*project.Build]said{},
	}
}

// of returns what the rules propose for b, a build of p.
func (r *round) of(ctx context.Context, p *project.Picture, b *project.Build) Answer {
	on := r.basis(p, b)
	if have, ok := r.answers[b]; ok && have.stands(on) {
		return have.answer
	}
	now := said{answer: Answer{Build: b}, on: on}
	if in, ok := r.input(ctx, p, b, on, &now.asked); ok {
		in.Only = r.rules
		now.answer.Unread, now.answer.Suggestions = suggest.TooLarge(in.File), suggest.Suggest(in)
	}
	r.answers[b] = now
	return now.answer
}

// stands reports whether the answer would be given on a basis as well. A build that is
// the same has the same texts: With makes those anew that read another one.
func (s said) stands(on basis) bool {
	return slices.Equal(s.on.group, on.group) && slices.Equal(s.on.beside, on.beside) &&
		slices.EqualFunc(s.on.sharers, on.sharers, func(was, is []*project.Build) bool {
			return slices.Equal(was, is) || !s.asked && (len(was) > 0) == (len(is) > 0)
		})
}

func (r *round) basis(p *project.Picture, b *project.Build) basis {
	if !readable(b) {
		return basis{}
	}
	on := basis{group: []*project.Build{b}, beside: r.beside(p, b)}
	for _, other := range p.Builds {
		if other != b && other.Selection != nil && other.Definition.Dockerfile == b.Definition.Dockerfile {
			on.group = append(on.group, other)
		}
	}
	for _, one := range on.group {
		on.sharers = append(on.sharers, sharing(p, one))
	}
	return on
}

// readable reports a build whose Dockerfile is a file that could be changed.
func readable(b *project.Build) bool { return b.Selection != nil && b.Definition.Inline == "" }
