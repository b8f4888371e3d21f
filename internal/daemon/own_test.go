package daemon

import "testing"

// TestNarrows checks of which edited ignore files it is sure that they let in no more than
// before.
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
			t.Errorf("narrows(%q, %q) = %v, want %v", c.was, c.text, got, c.want)
		}
	}
}
