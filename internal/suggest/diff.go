package suggest

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/aymanbagabas/go-udiff"
)

// Diff returns the changes of the suggestion as a unified diff that `git apply` accepts, or "" if
// there are none.
func (s Suggestion) Diff() string {
	var b strings.Builder
	for _, c := range s.Changes {
		from := "a/" + c.Path
		if c.Old == nil {
			from = "/dev/null"
		}
		b.WriteString(renumbered(udiff.Unified(from, "b/"+c.Path, string(c.Old), string(c.New))))
	}
	return b.String()
}

// hunkHead matches the line above a hunk. Lines of the files do not match: they begin with a
// blank, a plus or a minus.
var hunkHead = regexp.MustCompile(`(?m)^@@ -(\d+)(,\d+)? \+\d+(,\d+)? @@$`)

// renumbered corrects in which line of the new text each hunk of a diff begins: go-udiff v0.4.1
// gets it wrong below a hunk with two changes, as it does not count the lines between these.
func renumbered(diff string) string {
	longer := 0 // how many lines more the new text has so far
	return hunkHead.ReplaceAllStringFunc(diff, func(head string) string {
		m := hunkHead.FindStringSubmatch(head)
		first, err := strconv.Atoi(m[1])
		if err != nil {
			return head
		}
		removed, added := hunkLines(m[2]), hunkLines(m[3])
		if removed == 0 || added == 0 {
			return head // the file is new or deleted
		}
		at := first + longer
		longer += added - removed
		return fmt.Sprintf("@@ -%d%s +%d%s @@", first, m[2], at, m[3])
	})
}

// hunkLines reads the number of lines of a hunk, which a diff leaves out if it is 1.
func hunkLines(count string) int {
	n, err := strconv.Atoi(strings.TrimPrefix(count, ","))
	if err != nil {
		return 1
	}
	return n
}
