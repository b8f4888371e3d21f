package advise

import (
	"context"
	"slices"

	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/project"
	"github.com/stokerd/stoker/internal/suggest"
)

// A round runs the rules on builds of one picture, and of the pictures that
// [project.Opener.With] makes of it. Answers that a change does not affect are kept. It is
// not safe for concurrent use.
type round struct {
	history History
	costs   Costs
	rules   []string // to run; empty runs all
	loads   map[*buildctx.Selection]*load
	paths   map[string]int // path to its number in loads
	answers map[*project.Build]said
	listed  []listed // the contexts whose files were listed

	// Of one Dockerfile of one picture, since the rules look at all its builds for each of them, with
	// much the same texts.
	dockerfile string
	picture    *project.Picture
	file       *dockerfile.File // nil if it cannot be read
	memory     *suggest.Memory
	convert    map[*project.Build]func(text []byte) (*dockerfile.Plan, error) // remember conversions
}

// A said is an answer that was given, with what it depends on.
type said struct {
	answer Answer
	on     basis
	asked  bool // the rules looked at what the sharers copy
}

// A basis is what an answer depends on besides its own build.
type basis struct {
	group   []*project.Build // builds of the same Dockerfile, the one asked about first
	beside  []suggest.Neighbour
	sharers [][]*project.Build // per build of group: those that share its ignore file
}

// newRound returns a round without answers.
func newRound(h History, costs Costs, rules []string) *round {
	return &round{
		history: h, costs: costs, rules: rules,
		loads: map[*buildctx.Selection]*load{}, paths: map[string]int{}, answers: map[*project.Build]said{},
	}
}

// of returns the answer for b, a build of p.
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

// turn has r look at a Dockerfile of p, and forget what it remembers of another. It reports false if
// the file cannot be read.
func (r *round) turn(p *project.Picture, name string) bool {
	if r.dockerfile == name && r.picture == p {
		return r.file != nil
	}
	r.dockerfile, r.picture, r.file, r.memory = name, p, nil, suggest.NewMemory()
	r.convert = map[*project.Build]func([]byte) (*dockerfile.Plan, error){}
	text, err := p.Text(name)
	if err != nil {
		return false
	}
	if r.file, err = dockerfile.Parse(p.Relative(name), text); err != nil {
		r.file = nil
	}
	return r.file != nil
}

// stands reports whether the answer is still right on another basis. It is enough to compare
// pointers to builds: With makes a new one of each that reads a changed text.
func (s said) stands(on basis) bool {
	return slices.Equal(s.on.group, on.group) && slices.Equal(s.on.beside, on.beside) &&
		slices.EqualFunc(s.on.sharers, on.sharers, func(was, is []*project.Build) bool {
			return slices.Equal(was, is) || !s.asked && (len(was) > 0) == (len(is) > 0)
		})
}

// basis returns what the answer for b, a build of p, depends on.
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

// readable reports whether b could be read and its Dockerfile is a file, so that it can be
// changed.
func readable(b *project.Build) bool { return b.Selection != nil && b.Definition.Inline == "" }
