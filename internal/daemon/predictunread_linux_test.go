package daemon_test

import (
	"crypto/rand"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/lab"
)

// TestPredictUnread: a step that takes a file which cannot be read as it is listed is unknown for
// that reason, and so is what follows it. What is before it is not, and nothing is once the file
// can be read again.
func TestPredictUnread(t *testing.T) {
	r := startOn(t, lab.For(t).Address())
	dir, nonce := lab.Dir(t), strings.ToLower(rand.Text())
	file := filepath.Join(dir, "src", "a")
	write(t, filepath.Join(dir, "Dockerfile"), "FROM node:20\nWORKDIR /"+nonce+"\nCOPY src /src\nRUN echo "+nonce+"\n")
	write(t, file, nonce)
	if _, err := r.Up(t.Context(), api.UpRequest{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	other := walk{t: t, dir: dir, builder: dial(t, lab.For(t).Address())}
	other.build()
	r.recorded(dir, &other)
	predicts := func(when, want string) {
		t.Helper()
		if got := outlook(r.foretold(api.Query{Dir: dir})); got != want {
			t.Errorf("%s, predicted:\n%s\nwant:\n%s", when, got, want)
		}
	}
	predicts("after a build", "hit\nhit\nhit")
	// The system shows files that are not of the size that it says, to anybody.
	if err := unix.Mount("/sys/devices/system/cpu/online", file, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	mounted := true
	unmount := func() {
		if mounted {
			mounted = false
			if err := unix.Unmount(file, unix.MNT_DETACH); err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(unmount)
	const unread = "unknown: unread: files that it takes could not be read"
	predicts("with a file that cannot be read", "hit\n"+unread+"\n"+unread)
	unmount()
	predicts("with the file as it was", "hit\nhit\nhit")
}
