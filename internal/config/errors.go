package config

import (
	"fmt"
	"strconv"
	"strings"
)

// Error is a mistake at one place of a configuration file. It never has the value of a
// build arg in it.
type Error struct {
	// File is the file as its reader called it ("stoker.yaml").
	File string
	// Line and Column count from 1; 0 where the whole file is meant.
	Line, Column int
	// Text says what is wrong.
	Text string
	// Hint says what to do about it; may be empty.
	Hint string
}

// Error returns "file:line:column: text; hint", leaving out what is unknown.
func (e *Error) Error() string {
	var b strings.Builder
	if e.File != "" {
		b.WriteString(e.File)
		if e.Line > 0 {
			fmt.Fprintf(&b, ":%d:%d", e.Line, e.Column)
		}
		b.WriteString(": ")
	}
	b.WriteString(e.Text)
	if e.Hint != "" {
		b.WriteString("; " + e.Hint)
	}
	return b.String()
}

// quote returns a text of the user for a message, quoted and shortened.
func quote(text string) string {
	const limit = 60
	if len(text) > limit {
		text = strings.ToValidUTF8(text[:limit], "") + "…"
	}
	return strconv.Quote(text)
}

// oneOf writes words as "a, b or c".
func oneOf(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// nearest returns the word that a misspelt text most likely means, or "" if there is
// none that differs in at most two edits and half of the text's length.
func nearest(text string, words []string) string {
	best, bestCost := "", min(2, len(text)/2)+1
	for _, w := range words {
		if cost := editCost(strings.ToLower(text), w, bestCost); cost < bestCost {
			best, bestCost = w, cost
		}
	}
	return best
}

// editCost is the Levenshtein distance of a and b, or limit if it is larger.
func editCost(a, b string, limit int) int {
	if max(len(a)-len(b), len(b)-len(a)) >= limit {
		return limit
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return min(row[len(b)], limit)
}
