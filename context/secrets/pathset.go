package secrets

import (
	"fmt"
	"regexp/syntax"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"unicode"
	"unicode/utf8"
)

// A pathSet is the set of paths that an expression matches, or of which it matches a
// parent directory. It tells in one pass over a path, where package regexp takes some
// microseconds for each parent. It is a lazily built DFA: a state is a set of positions
// in the expression's program, and is made when a path first leads to it. It is safe for
// concurrent use.
type pathSet struct {
	prog   *syntax.Prog
	bounds []rune               // first rune of each class of characters, ascending from 0
	ascii  [utf8.RuneSelf]uint8 // the class of each ASCII character
	start  atomic.Pointer[pathState]

	mu     sync.Mutex            // guards states, and the making of one
	states map[string]*pathState // by the positions
}

// A pathState is immutable except for next, whose entries are set once.
type pathState struct {
	at      []uint32                    // instructions that may read the next character, ascending
	matches bool                        // a path that ends here matches
	next    []atomic.Pointer[pathState] // by class of the next character
}

// maxPathStates bounds the memory. Usual paths need a few hundred states.
const maxPathStates = 1 << 12

// newPathSet returns the set for an expression. It may contain no assertion but those
// for the beginning and the end of the text.
func newPathSet(expr string) (*pathSet, error) {
	// As with regexp.MatchString, a match may begin anywhere.
	tree, err := syntax.Parse("(?s:.)*?(?:"+expr+")", syntax.Perl)
	if err != nil {
		return nil, err
	}
	prog, err := syntax.Compile(tree.Simplify())
	if err != nil {
		return nil, err
	}
	p := &pathSet{prog: prog, bounds: []rune{0}, states: map[string]*pathState{}}
	for _, in := range prog.Inst {
		if in.Op == syntax.InstEmptyWidth && syntax.EmptyOp(in.Arg)&^(syntax.EmptyBeginText|syntax.EmptyEndText) != 0 {
			return nil, fmt.Errorf("expression for paths has a word boundary or a line anchor: %s", expr)
		}
		p.classify(in)
	}
	slices.Sort(p.bounds)
	p.bounds = slices.Compact(p.bounds)
	for c := range p.ascii {
		p.ascii[c] = uint8(p.class(rune(c)))
	}
	p.start.Store(p.state(p.follow(nil, uint32(prog.Start), true)))
	return p, nil
}

// classify adds to bounds the characters at which the behaviour of an instruction changes.
func (p *pathSet) classify(in syntax.Inst) {
	switch in.Op {
	case syntax.InstRuneAnyNotNL:
		p.bounds = append(p.bounds, '\n', '\n'+1)
	case syntax.InstRune, syntax.InstRune1:
		for i, r := range in.Rune {
			p.bounds = append(p.bounds, r+rune(i%2)) // a range is a pair of the first rune and the last
		}
		if len(in.Rune) == 1 {
			// A single rune, perhaps in any case.
			r := in.Rune[0]
			p.bounds = append(p.bounds, r+1)
			for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
				p.bounds = append(p.bounds, f, f+1)
			}
		}
	}
}

// class returns the class of r, an index into p.bounds.
func (p *pathSet) class(r rune) int {
	i, found := slices.BinarySearch(p.bounds, r)
	if !found {
		i--
	}
	return i
}

// contains reports whether the expression matches name or one of its parents.
func (p *pathSet) contains(name string) bool {
	s := p.start.Load()
	for i := 0; i < len(name); {
		class, width := 0, 1
		if c := name[i]; c < utf8.RuneSelf {
			if c == '/' && i > 0 && s.matches {
				return true
			}
			class = int(p.ascii[c])
		} else {
			var r rune
			r, width = utf8.DecodeRuneInString(name[i:])
			class = p.class(r)
		}
		i += width
		next := s.next[class].Load()
		if next == nil {
			next = p.step(s, class)
		}
		s = next
	}
	return s.matches && name != ""
}

// step makes the state that s leads to with a character of the class.
func (p *pathSet) step(s *pathState, class int) *pathState {
	p.mu.Lock()
	defer p.mu.Unlock()
	var at []uint32
	for _, pc := range s.at {
		switch in := &p.prog.Inst[pc]; in.Op {
		case syntax.InstMatch:
			at = append(at, pc) // it has matched, whatever follows
		case syntax.InstRune, syntax.InstRune1, syntax.InstRuneAny, syntax.InstRuneAnyNotNL:
			if in.MatchRune(p.bounds[class]) {
				at = p.follow(at, in.Out, false)
			}
		}
	}
	next := p.state(at)
	s.next[class].Store(next)
	return next
}

// state returns the only state of these positions. The caller holds p.mu, except during
// construction.
func (p *pathSet) state(at []uint32) *pathState {
	slices.Sort(at)
	at = slices.Compact(at)
	var key strings.Builder
	for _, pc := range at {
		key.WriteRune(rune(pc))
	}
	if s, ok := p.states[key.String()]; ok {
		return s
	}
	if len(p.states) > maxPathStates {
		// A call of contains that is under way goes on with the old states.
		clear(p.states)
		p.start.Store(p.newState(p.follow(nil, uint32(p.prog.Start), true)))
	}
	s := p.newState(at)
	p.states[key.String()] = s
	return s
}

func (p *pathSet) newState(at []uint32) *pathState {
	s := &pathState{at: at, next: make([]atomic.Pointer[pathState], len(p.bounds))}
	s.matches = slices.ContainsFunc(at, func(pc uint32) bool { return p.ends(pc) })
	return s
}

// follow appends the instructions that pc leads to without reading a character. begin
// says that this is before the first one.
func (p *pathSet) follow(at []uint32, pc uint32, begin bool) []uint32 {
	if slices.Contains(at, pc) {
		return at
	}
	switch in := &p.prog.Inst[pc]; in.Op {
	case syntax.InstAlt, syntax.InstAltMatch:
		return p.follow(p.follow(append(at, pc), in.Out, begin), in.Arg, begin)
	case syntax.InstCapture, syntax.InstNop:
		return p.follow(append(at, pc), in.Out, begin)
	case syntax.InstEmptyWidth:
		at = append(at, pc)
		if syntax.EmptyOp(in.Arg) == syntax.EmptyBeginText && begin {
			return p.follow(at, in.Out, begin)
		}
		return at
	case syntax.InstFail:
		return at
	}
	return append(at, pc)
}

// ends reports whether a path that ends where pc would read a character matches.
func (p *pathSet) ends(pc uint32) bool {
	in := &p.prog.Inst[pc]
	if in.Op == syntax.InstMatch {
		return true
	}
	if in.Op != syntax.InstEmptyWidth || syntax.EmptyOp(in.Arg) != syntax.EmptyEndText {
		return false
	}
	return slices.ContainsFunc(p.follow(nil, in.Out, false), func(next uint32) bool { return next != pc && p.ends(next) })
}
