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

// A pathSet tells whether an expression matches a path or one of the
// directories above it, in one pass over the characters: its states, which are
// sets of places in the expression's program, are made when a path first leads
// to them. Package regexp needs some microseconds for each of the paths. It is
// safe for concurrent use.
type pathSet struct {
	prog   *syntax.Prog
	bounds []rune // where the classes of characters begin, ascending, from 0
	ascii  [utf8.RuneSelf]uint8
	start  atomic.Pointer[pathState]

	mu     sync.Mutex // guards the fields that follow
	states map[string]*pathState
}

// A pathState is immutable but for next, which only ever fills.
type pathState struct {
	at      []uint32 // instructions that wait for a character, ascending
	matches bool     // a path that ends here
	next    []atomic.Pointer[pathState]
}

// maxPathStates bounds the memory; the usual names need some hundred.
const maxPathStates = 1 << 12

// newPathSet compiles an expression, which may not ask for word or line ends.
func newPathSet(expr string) (*pathSet, error) {
	// The expression may match from any character on.
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
			return nil, fmt.Errorf("expression for paths asks for the end of a word or line: %s", expr)
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

// classify notes the characters from which on in behaves differently.
func (p *pathSet) classify(in syntax.Inst) {
	switch in.Op {
	case syntax.InstRuneAnyNotNL:
		p.bounds = append(p.bounds, '\n', '\n'+1)
	case syntax.InstRune, syntax.InstRune1:
		for i, r := range in.Rune {
			p.bounds = append(p.bounds, r+rune(i%2)) // pairs of the first and the last
		}
		if len(in.Rune) == 1 {
			// A single one, perhaps in any case.
			r := in.Rune[0]
			p.bounds = append(p.bounds, r+1)
			for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
				p.bounds = append(p.bounds, f, f+1)
			}
		}
	}
}

func (p *pathSet) class(r rune) int {
	i, found := slices.BinarySearch(p.bounds, r)
	if !found {
		i--
	}
	return i
}

// contains reports whether the expression matches name or a directory above it.
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

// step makes the state that follows s with a character of the class.
func (p *pathSet) step(s *pathState, class int) *pathState {
	p.mu.Lock()
	defer p.mu.Unlock()
	var at []uint32
	for _, pc := range s.at {
		switch in := &p.prog.Inst[pc]; in.Op {
		case syntax.InstMatch:
			at = append(at, pc) // whatever follows
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

// state returns the one state of the instructions; the caller holds the lock.
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
		// A walk that holds an old state goes on with it.
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

// follow adds the instructions that pc leads to without a character.
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

// ends reports whether a path that ends before pc's character matches.
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
