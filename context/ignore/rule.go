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

// A rule is one pattern, with the meaning that moby/patternmatcher gives it. Either
// prog or matchPath is set.
type rule struct {
	text      string // cleaned, with the system's separators and without "!"
	exception bool   // the pattern has a "!"
	// prog is the program for the automaton: it accepts exactly the paths that match.
	prog *syntax.Prog
	// matchPath reports whether a whole path matches, if the rule is opaque: the
	// automaton cannot run it.
	matchPath func(path string) bool
}

// newRule compiles a pattern. It returns nil without an error if that is blank.
//
// patternmatcher decides whether the pattern is well formed, and cleans it. It is not
// used to match, because for a pattern that is not UTF-8 it writes to the process's
// standard error.
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

// A shape is the way in which patternmatcher compares a path with a pattern
// (patternmatcher: matchType).
type shape int

const (
	exact      shape = iota // the path equals the pattern
	prefix                  // the path starts with the pattern without its final **
	suffix                  // the path ends with the pattern without its initial **
	expression              // the path matches a regular expression
)

// compile sets r.prog or r.matchPath. The error is filepath.ErrBadPattern, on which
// BuildKit comes when it matches the pattern.
func (r *rule) compile(sep string) error {
	shape, expr := translate(r.text, sep)
	literal := r.text
	switch shape {
	case exact:
		expr = "^" + regexp.QuoteMeta(literal) + "$"
		r.matchPath = func(path string) bool { return path == literal }
	case prefix:
		literal = literal[:len(literal)-len("**")]
		expr = "^" + regexp.QuoteMeta(literal)
		r.matchPath = func(path string) bool { return strings.HasPrefix(path, literal) }
	case suffix:
		literal = literal[len("**"):]
		expr = "^" + endingIn(literal, sep)
		r.matchPath = func(path string) bool { return strings.HasSuffix(path, literal) || sep+path == literal }
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
		r.prog, r.matchPath = prog, nil
		return nil
	}
	re, err := regexp.Compile(expr)
	if err != nil {
		return filepath.ErrBadPattern
	}
	r.matchPath = re.MatchString
	return nil
}

// endingIn returns the expression for a pattern of ** and a literal: `**foo` matches
// every path that ends in foo, and `**/foo` also matches foo itself.
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

// anywhere returns an expression that matches where re matches after the beginning of
// a path. It is needed for a pattern with a bar, which is not escaped: in `^a|b*$`
// only the first alternative is anchored at the beginning.
func anywhere(re *syntax.Regexp) *syntax.Regexp {
	skip := &syntax.Regexp{Op: syntax.OpStar, Sub: []*syntax.Regexp{{Op: syntax.OpAnyChar}}}
	return &syntax.Regexp{Op: syntax.OpConcat, Sub: []*syntax.Regexp{skip, re}}
}

// sameByRune reports whether comparing text by bytes and by runes is the same. It is
// not for text that is not UTF-8, since all invalid bytes read as the same rune.
func sameByRune(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsRune(text, utf8.RuneError)
}

// The limits for a rule that the automaton runs. Only Unicode classes have more
// ranges in one instruction (`\pL` has 600), and only repetitions like `a{1000}`,
// whose braces are not escaped, make longer programs.
const (
	maxRanges       = 32
	maxInstructions = 1 << 14
)

// runnable reports whether the automaton can run prog. It supports the beginning and
// the end of a path as assertions, but not word boundaries.
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

// translate returns a pattern's shape, and its regular expression, which is valid
// only for the shape expression (patternmatcher: Pattern.compile). Its quirks are
// patternmatcher's: `*` and `?` remain wildcards in brackets, an escaped letter has
// the meaning that it has in Go's regular expressions, bars and braces are not
// escaped, and a byte order mark at the beginning is skipped.
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
				// Any wildcard that follows makes it an expression.
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
