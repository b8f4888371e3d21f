package suggest

import (
	"bytes"
	"slices"
	"strings"

	"github.com/aymanbagabas/go-udiff"

	"github.com/stokerd/stoker/context/ignore"
)

// Join merges changes that were each made from the present texts, so that there is one per
// file with the effect of all. Changes that conflict, on the same lines, are left separate.
func Join(changes []Change) []Change {
	var list []Change
next:
	for _, c := range changes {
		for i, have := range list {
			if both, ok := have.join(c); ok {
				list[i] = both
				continue next
			}
		}
		list = append(list, c)
	}
	return list
}

// join merges two changes like with, and also if they change different lines of the file.
func (c Change) join(other Change) (Change, bool) {
	if c.Path != other.Path {
		return c, false
	}
	if both, ok := c.with(other); ok || !bytes.Equal(c.Old, other.Old) {
		return both, ok
	}
	old := string(c.Old)
	edits, ok := udiff.Merge(udiff.Lines(old, string(c.New)), udiff.Lines(old, string(other.New)))
	if !ok {
		return c, false
	}
	text, err := udiff.Apply(old, edits)
	if err != nil {
		return c, false
	}
	c.New = []byte(text)
	return c, true
}

// with merges two changes of one file. It can if both make the same text, or both add lines to
// an ignore file; a line of the second that the first covers is left out.
func (c Change) with(other Change) (Change, bool) {
	if bytes.Equal(c.New, other.New) {
		return c, true
	}
	mine, ok := c.adds()
	more, also := other.adds()
	if !ok || !also || !bytes.Equal(c.Old, other.Old) || !strings.HasSuffix(c.Path, ".dockerignore") {
		return c, false
	}
	text := slices.Clone(c.New)
	for _, line := range more {
		if !slices.Contains(mine, line) && !ignores(text, strings.TrimSpace(line)) {
			text = append(text, line...)
		}
	}
	c.New = text
	return c, true
}

// adds returns the lines that a change appends to a text, or false if it changes anything else.
func (c Change) adds() (lines []string, ok bool) {
	old, _ := ended(string(c.Old))
	added, ok := strings.CutPrefix(string(c.New), old)
	return slices.Collect(strings.Lines(added)), ok && (added == "" || strings.HasSuffix(added, "\n"))
}

// ended returns a text with its last line ended as the others are, and that line ending.
func ended(text string) (whole, ending string) {
	ending = "\n"
	if strings.Contains(text, "\r\n") {
		ending = "\r\n"
	}
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += ending
	}
	return text, ending
}

// ignores reports whether an ignore file excludes everything that the line would.
func ignores(text []byte, line string) bool {
	if strings.ContainsAny(line, "*?[!\\#") {
		return false
	}
	f, err := ignore.Parse("", text)
	if err != nil {
		return false
	}
	m, err := ignore.NewMatcher(f)
	return err == nil && m.Ignored(line+"/x/x")
}
