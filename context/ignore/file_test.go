package ignore_test

import (
	"strings"
	"testing"

	"github.com/stokerd/stoker/context/ignore"
)

// TestErrorWithoutFile: patterns of a COPY come from no ignore file, so an error
// about one must not name a file or line.
func TestErrorWithoutFile(t *testing.T) {
	_, err := ignore.NewMatcher(&ignore.File{Lines: []ignore.Line{{Number: 1, Pattern: `app\`}}})
	if err == nil || strings.Contains(err.Error(), ":1:") || !strings.Contains(err.Error(), `app\\`) {
		t.Errorf("NewMatcher: %v, want an error with the pattern and without a line", err)
	}
}
