package daemon

import "testing"

// TestNarrows: of which ignore files a picture shows all that is sent.
func TestNarrows(t *testing.T) {
	for _, c := range []struct {
		was, text string
		want      bool
	}{
		{"", "a\n", true},
		{"a\n", "a\nb\n", true},
		{"a\n", "b\na\n", false},
		{"a\nb\n", "a\n", false},
		{"a\n", "a\n!a/b\n", false},
	} {
		if got := narrows([]byte(c.was), []byte(c.text)); got != c.want {
			t.Errorf("%q after %q narrows: %v, want %v", c.text, c.was, got, c.want)
		}
	}
}
