package verify_test

import (
	"strings"
	"testing"
)

// TestLinkedCopies shows on a real BuildKit where COPY --link gives the image that
// COPY gives, and where it does not: the rule link-copy rests on it.
func TestLinkedCopies(t *testing.T) {
	const prefix = "FROM alpine:3.20\nWORKDIR /app\n"
	for _, c := range []struct {
		name, above, copied string
		same                bool
	}{
		{"new file at the top", "", "COPY a /a", true},
		{"new folder at the top", "", "COPY dir /static", true},
		{"new folder on the way", "", "COPY a /srv/deep/a", true},
		{"folder of a WORKDIR", "", "COPY dir ./static", true},
		{"file into a WORKDIR", "", "COPY a ./", true},
		{"beside another COPY", "COPY dir/sub /app/\n", "COPY a /app/one", true},
		{"folder made by a COPY of a file", "COPY a /made/x\n", "COPY a /made/y", true},
		{"mode of the folder", "RUN chmod 700 /app\n", "COPY a /app/a", false},
		{"owner of the folder", "RUN chown 1000 /app\n", "COPY a /app/a", false},
		{"folder of a WORKDIR that has content", "RUN mkdir -m 700 /app/static\n", "COPY dir ./static", false},
		{"folder that is open to all", "", "COPY a /tmp/a", false},
		{"folder where a file should be", "RUN mkdir /there\n", "COPY a /there", false},
		{"link on the way", "RUN mkdir /real && ln -s real /alias\n", "COPY a /alias/a", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			text := prefix + c.above + c.copied + "\n"
			r := check(t, project(t, text), strings.Replace(text, c.copied, strings.Replace(c.copied, "COPY", "COPY --link", 1), 1))
			if r.Equal() != c.same {
				t.Errorf("the same image: %v, want %v\n%s", r.Equal(), c.same, told(r.Differences))
			}
		})
	}
}
