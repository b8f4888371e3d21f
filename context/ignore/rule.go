package ignore

import (
	"os"
	"path/filepath"
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode/utf8"

	"github.com/moby/patternmatcher"
)

// A rule is one pattern, understood as moby/patternmatcher understands it.
type rule struct {
	text      string // cleaned, with the system's separators
	exception bool
	// prog accepts the paths that match, and those only. It is nil for a rule
	// that the automaton leaves out; alone answers for that one.
	prog  *syntax.Prog
	alone func(path string) bool
}

// newRule reads a pattern; nil without an error if it is blank.
//
// Whether a pattern is well formed, and what is left of it once it is cleaned,
// is for patternmatcher to say. It never matches for us: what it does with a
// pattern that is not UTF-8 writes to the process's standard error.
func newRule(pattern string) (*rule, error) {
	pm, err := patternmatcher.New([]string{pattern})
	if err != nil {
		return nil, err
	}
	if len(pm.Patterns()) == 0 {
		return nil, nil
	}
	p := pm.Patterns()[0]
	r := &rule{text: p.String(), exception: p.Exclusion()}
	return r, r.compile(string(os.PathSeparator))
}

// shape says how patternmatcher looks at a path for a pattern (patternmatcher:
// matchType).
type shape int

const (
	exact      shape = iota // the path is the pattern's text
	prefix                  // the path begins with it, two stars at its end apart
	suffix                  // the path ends with it, two stars at its head apart
	expression              // a regular expression accepts the path
)

// compile fills in prog or alone. The error is filepath.ErrBadPattern, which
// BuildKit meets when it comes to match the pattern.
func (r *rule) compile(sep string) error {
	shape, expr := translate(r.text, sep)
	literal := r.text
	switch shape {
	case exact:
		expr = "^" + regexp.QuoteMeta(literal) + "$"
		r.alone = func(path string) bool { return path == literal }
	case prefix:
		literal = literal[:len(literal)-len("**")]
		expr = "^" + regexp.QuoteMeta(literal)
		r.alone = func(path string) bool { return strings.HasPrefix(path, literal) }
	case suffix:
		literal = literal[len("**"):]
		expr = "^" + endingIn(literal, sep)
		r.alone = func(path string) bool { return strings.HasSuffix(path, literal) || sep+path == literal }
	}
	if shape != expression && !sameByRune(literal) {
		return nil
	}
	parsed, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return filepath.ErrBadPattern
	}
	if shape == expression && strings.Contains(r.text, "|") {
		parsed = anywhere(parsed)
	}
	prog, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return filepath.ErrBadPattern
	}
	if runnable(prog) {
		r.prog, r.alone = prog, nil
		return nil
	}
	re, err := regexp.Compile(expr)
	if err != nil {
		return filepath.ErrBadPattern
	}
	r.alone = re.MatchString
	return nil
}

// endingIn returns the expression for what follows two stars at the head of a
// pattern: `**foo` takes every path that ends in foo, and `**/foo` takes foo.
func endingIn(literal, sep string) string {
	switch {
	case literal == "":
		return ""
	case strings.HasPrefix(literal, sep):
		return "(?s:.*" + regexp.QuoteMeta(sep) + ")?" + regexp.QuoteMeta(literal[len(sep):]) + "$"
	default:
		return "(?s:.*)" + regexp.QuoteMeta(literal) + "$"
	}
}

// anywhere lets re match from any place in a path on. A bar in a pattern is not
// escaped: `^a|b*$` searches for b.
func anywhere(re *syntax.Regexp) *syntax.Regexp {
	skip := &syntax.Regexp{Op: syntax.OpStar, Sub: []*syntax.Regexp{{Op: syntax.OpAnyChar}}}
	return &syntax.Regexp{Op: syntax.OpConcat, Sub: []*syntax.Regexp{skip, re}}
}

// sameByRune reports whether comparing text byte by byte and rune by rune is
// the same: bytes that are not UTF-8 all read as one rune.
func sameByRune(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsRune(text, utf8.RuneError)
}

// What the automaton runs at most, for one rule. Only the Unicode classes have
// more ranges of characters at one place (`\pL`: 600), and only repetitions like
// `a{1000}`, whose braces are not escaped, make programs long.
const (
	maxRanges       = 32
	maxInstructions = 1 << 14
)

// runnable reports whether the automaton can run prog: it knows the beginning
// and the end of a path, but no word boundaries.
func runnable(prog *syntax.Prog) bool {
	if len(prog.Inst) > maxInstructions {
		return false
	}
	for _, in := range prog.Inst {
		if in.Op == syntax.InstEmptyWidth && syntax.EmptyOp(in.Arg)&^(syntax.EmptyBeginText|syntax.EmptyEndText) != 0 {
			return false
		}
		if len(in.Rune) > 2*maxRanges {
			return false
		}
	}
	return true
}

// translate returns a pattern's shape and its regular expression, which counts
// only if the shape is expression (patternmatcher: Pattern.compile). The quirks
// are meant: in brackets `*` and `?` stay wildcards, an escaped letter is what
// Go's regular expressions take it for, bars and braces are not escaped (its
// table of what to escape has no room for them), and a byte order mark is read
// over.
func translate(pattern, sep string) (shape, string) {
	var (
		found   = exact
		expr    strings.Builder
		escaped = regexp.QuoteMeta(sep)
		rest    = []rune(strings.TrimPrefix(pattern, string(byteOrderMark)))
	)
	take := func() rune {
		r := rest[0]
		rest = rest[1:]
		return r
	}
	for head := true; len(rest) > 0; head = false {
		switch c := take(); {
		case c == '*' && len(rest) > 0 && rest[0] == '*':
			take()
			if len(rest) > 0 && string(rest[0]) == sep {
				take()
			}
			switch {
			case head:
				// Overruled by any wildcard that follows.
				found = suffix
				expr.WriteString("(.*" + escaped + ")?")
			case len(rest) > 0:
				found = expression
				expr.WriteString("(.*" + escaped + ")?")
			case found == exact:
				found = prefix
			default:
				found = expression
				expr.WriteString(".*")
			}
		case c == '*':
			found = expression
			expr.WriteString("[^" + escaped + "]*")
		case c == '?':
			found = expression
			expr.WriteString("[^" + escaped + "]")
		case c == '\\' && sep != `\` && len(rest) > 0:
			found = expression
			expr.WriteString(`\` + string(take()))
		case c == '\\' && sep == `\`:
			expr.WriteString(escaped)
		case c == '[' || c == ']':
			found = expression
			expr.WriteRune(c)
		case strings.ContainsRune(".+()$", c):
			expr.WriteString(`\` + string(c))
		default:
			expr.WriteRune(c)
		}
	}
	return found, "^" + expr.String() + "$"
}
