package verify_test

import (
	"strings"
	"testing"
)

// TestCacheMountUnlinks shows on a real BuildKit what a cache mount does to an install
// that links files out of its store, as pnpm and bun do: a link does not leave a mount,
// so that two packages with a file in common get copies of it, which a COPY --from keeps
// apart. The rule cache-mount rests on it.
func TestCacheMountUnlinks(t *testing.T) {
	const install = "mkdir -p /store /app/node_modules/x /app/node_modules/y /app/dist && echo MIT > /store/1 && echo 1 > /app/dist/1 && " +
		"for p in x y; do ln /store/1 /app/node_modules/$p/LICENSE || cp /store/1 /app/node_modules/$p/LICENSE; done\n"
	for _, c := range []struct {
		name, taken string
		same        bool
	}{
		{"what was built", "/app/dist", true},
		{"one package", "/app/node_modules/x", true},
		{"all packages", "/app/node_modules", false},
		{"the folder above them", "/app", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			text := "FROM alpine:3.20 AS build\nRUN " + install + "FROM scratch\nCOPY --from=build " + c.taken + " /taken\n"
			r := check(t, project(t, text), strings.Replace(text, "RUN ", "RUN --mount=type=cache,target=/store ", 1))
			if r.Equal() != c.same {
				t.Errorf("the same image: %v, want %v\n%s", r.Equal(), c.same, told(r.Differences))
			}
		})
	}
}
