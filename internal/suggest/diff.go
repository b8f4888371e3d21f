package suggest

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/aymanbagabas/go-udiff"
)

// Diff returns the suggestion's changes as one unified diff that `git apply`
// takes; "" if there are none.
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

// hunkHead matches the line above a hunk; lines of the files have a mark in front.
var hunkHead = regexp.MustCompile(`(?m)^@@ -(\d+)(,\d+)? \+\d+(,\d+)? @@$`)

// renumbered gives each hunk of a file's diff its first line in the new text: go-udiff
// v0.4.1 forgets the lines between two changes of one hunk in those below it.
func renumbered(diff string) string {
	longer := 0
	return hunkHead.ReplaceAllStringFunc(diff, func(head string) string {
		m := hunkHead.FindStringSubmatch(head)
		first, err := strconv.Atoi(m[1])
		if err != nil {
			return head
		}
		removed, added := hunkLines(m[2]), hunkLines(m[3])
		if removed == 0 || added == 0 {
			return head // of a file that begins or ends to be
		}
		at := first + longer
		longer += added - removed
		return fmt.Sprintf("@@ -%d%s +%d%s @@", first, m[2], at, m[3])
	})
}

// hunkLines reads the count of a hunk's lines, which is left out where it is one.
func hunkLines(count string) int {
	n, err := strconv.Atoi(strings.TrimPrefix(count, ","))
	if err != nil {
		return 1
	}
	return n
}
