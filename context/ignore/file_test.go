package ignore_test

import (
	"strings"
	"testing"

	"github.com/stokerd/stoker/context/ignore"
)

// What a COPY asks for is matched as the lines of a file are, and is of none.
func TestErrorWithoutFile(t *testing.T) {
	_, err := ignore.NewMatcher(&ignore.File{Lines: []ignore.Line{{Number: 1, Pattern: `app\`}}})
	if err == nil || strings.Contains(err.Error(), ":1:") || !strings.Contains(err.Error(), `app\\`) {
		t.Errorf("the error is %v", err)
	}
}
