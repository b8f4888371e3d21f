package effects

import "strings"

// Words are given to [Of] with their quotes removed. What a shell would expand in them, had
// they had none, is told apart from what it does expand: each such character that is meant
// as it stands has a rune of Unicode's private use in its place. A quoted "*" is no pattern
// to who looks for a *, then, and no reader has to know of quotes.
const (
	special = "*?[{$~"
	first   = '\uF700' // in place of a character c stands first+c
	// Seam ends the name of a variable where text follows that could belong to it.
	Seam = string(first)
	// Break stands between the words that a value is, whether or not quotes are around it.
	Break = "\uF701"
)

var (
	quoter   = strings.NewReplacer(pairs(false)...)
	unquoter = strings.NewReplacer(append(pairs(true), Seam, "", Break, " ")...)
	// A pattern within a value is one where nothing quotes that.
	loosener = strings.NewReplacer(Quote("*"), "*", Quote("?"), "?", Quote("["), "[")
)

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

// Quote returns text as a part of a word in which all of it is meant as it stands.
func Quote(text string) string { return quoter.Replace(text) }

// Unquote returns the text of a word: what its command gets, unless something in it is
// expanded.
func Unquote(word string) string { return unquoter.Replace(word) }

// Loosen returns a quoted value as a shell takes it that puts it in without quotes: what
// looks like a pattern is one.
func Loosen(value string) string { return loosener.Replace(value) }

// Quotable reports whether text holds none of the runes that a word means something by.
func Quotable(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r >= first && r < first+128 })
}
