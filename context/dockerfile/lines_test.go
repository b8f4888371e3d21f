package dockerfile

import "testing"

// TestSourceIsTheLines holds that Source finds lines where they begin and end, for all there are and
// for those that are not there.
func TestSourceIsTheLines(t *testing.T) {
	for _, text := range []string{"", "\n", "a", "a\n", "a\nb", "a\n\n", "\n\nb\n", "a\r\nb\r\n", "\xef\xbb\xbfa\nb\n\nc"} {
		f, s := &File{Text: []byte(text)}, newSource([]byte(text))
		for from := -1; from <= 6; from++ {
			for to := -1; to <= 6; to++ {
				want := ""
				if from >= 1 && to >= from && to < len(s.starts) {
					want = text[s.starts[from-1]:s.starts[to]]
				}
				if got := f.Source(Lines{From: from, To: to}); got != want {
					t.Errorf("lines %d to %d of %q: %q, want %q", from, to, text, got, want)
				}
			}
		}
	}
}
