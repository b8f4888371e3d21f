package suggest

import (
	"bytes"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/ignore"
)

// Compose returns changes that were made apart, each from the texts of today, as one of
// each file: what comes of it if one is made after the other. It reports false where two
// make something else of one file than that would.
func Compose(changes []Change) ([]Change, bool) {
	var list []Change
	for _, c := range changes {
		i := slices.IndexFunc(list, func(have Change) bool { return have.Path == c.Path })
		if i < 0 {
			list = append(list, c)
			continue
		}
		both, ok := list[i].with(c)
		if !ok {
			return nil, false
		}
		list[i] = both
	}
	return list, true
}

// with returns the change with another one of the same file made upon it. Two go
// together if they make the same of it, or add lines to an ignore file: of those the
// second adds what the first does not ignore by then.
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

// adds returns the lines that a change adds below the text that is there; false for one
// that does anything else.
func (c Change) adds() (lines []string, ok bool) {
	old, _ := ended(string(c.Old))
	added, ok := strings.CutPrefix(string(c.New), old)
	return slices.Collect(strings.Lines(added)), ok && (added == "" || strings.HasSuffix(added, "\n"))
}

// ended returns a text whose last line ends as the others do, and how that is.
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

// ignores reports whether an ignore file leaves out all that one of its lines would.
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
