package e2e_test

import (
	"fmt"
	"testing"

	"github.com/stokerd/stoker/internal/api"
)

// TestBuilderComesAndGoes: without a builder everything else is served, one that appears is taken up
// by itself, and what was counted stays.
func TestBuilderComesAndGoes(t *testing.T) {
	t.Parallel()
	u := newUser(t, `prewarm: {level: "off"}`+"\n")
	u.shop()
	u.stopLab()
	u.must("up", "--allow")
	s := u.awaitStatus(func(s api.Status) string { return connected(s, false) })
	if s.Builder.Problem == "" || s.Builder.Hint == "" {
		t.Errorf("without a builder the status says %+v; want what was tried, and the mend", s.Builder)
	}
	if _, status := u.stoker(t.Context(), "warm"); status != 3 {
		t.Errorf("stoker warm without a builder: exit status %d, want 3", status)
	}
	for n := range 2 {
		u.startLab()
		u.awaitStatus(func(s api.Status) string { return connected(s, true) })
		u.build("web")
		u.awaitBuilds("web", n+1)

		u.stopLab()
		u.awaitStatus(func(s api.Status) string { return connected(s, false) })
		before := u.size("web")
		u.write(fmt.Sprintf("web/public/%d.html", n), "<p>new</p>\n")
		u.await(func(r api.Repository) string {
			if got := definition(t, r, "web").Context; got.Files != before.Files+1 {
				return fmt.Sprintf("the new file: %+v", got)
			}
			return ""
		})
		u.awaitBuilds("web", n+1)
	}
}

// connected says what is missing until a builder is there, or none.
func connected(s api.Status, want bool) string {
	if s.Builder.Connected == want {
		return ""
	}
	return fmt.Sprintf("a builder, connected: %v; it is %+v", want, s.Builder)
}
