package effects

import "strings"

// Words of a command are given without their quotes. So that code which looks for patterns
// or variables need not know of quotes, each character that the shell would expand, but
// does not because it is quoted, is replaced by a rune of Unicode's private use area: a
// quoted "*" is not found by a search for "*".
const (
	special = "*?[{$~" // the characters that a shell expands
	first   = '\uF700' // a quoted character c becomes the rune first+c
	// Seam ends the name of a variable if the text that follows could be part of it.
	Seam = string(first)
	// Break separates the words of a value that stands for several, even in quotes.
	Break = "\uF701"
)

var (
	quoter   = strings.NewReplacer(pairs(false)...)
	unquoter = strings.NewReplacer(append(pairs(true), Seam, "", Break, " ")...)
	loosener = strings.NewReplacer(Quote("*"), "*", Quote("?"), "?", Quote("["), "[")
)

// pairs returns the arguments of a replacer that quotes, or with back one that unquotes.
func pairs(back bool) (list []string) {
	for _, c := range special {
		from, to := string(c), string(first+c)
		if back {
			from, to = to, from
		}
		list = append(list, from, to)
	}
	return list
}

// Quote returns text as part of a word in which nothing is expanded.
func Quote(text string) string { return quoter.Replace(text) }

// Unquote returns the text of a word, as the command gets it if nothing in it is expanded.
func Unquote(word string) string { return unquoter.Replace(word) }

// Loosen returns the quoted value of a variable for use outside quotes, where a shell
// expands the patterns in it.
func Loosen(value string) string { return loosener.Replace(value) }

// Quotable reports whether text has none of the runes that stand for quoted characters, so
// that [Quote] can be undone.
func Quotable(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r >= first && r < first+128 })
}
