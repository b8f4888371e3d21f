package suggest

import (
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
		b.WriteString(udiff.Unified(from, "b/"+c.Path, string(c.Old), string(c.New)))
	}
	return b.String()
}
