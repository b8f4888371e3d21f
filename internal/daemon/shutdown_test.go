package daemon_test

import (
	"crypto/rand"
	"net"
	"testing"
	"time"

	"github.com/stokerd/stoker/internal/api"
)

// soon is how long a daemon may take to end. It takes far less, unless it waits until the
// builder's client gives up by itself, which takes three seconds.
const soon = 2 * time.Second

// endsSoon ends the daemon and checks that it takes no longer than soon.
func (r *running) endsSoon() {
	r.t.Helper()
	began := time.Now()
	r.end()
	took := time.Since(began)
	r.t.Logf("ended in %v", took)
	if took > soon {
		r.t.Errorf("the daemon took %v to end, want at most %v", took, soon)
	}
}

// TestEndsDuringWarmUp ends a daemon while it warms.
func TestEndsDuringWarmUp(t *testing.T) {
	root := repository(t, map[string]string{"Dockerfile": "# " + rand.Text() + "\nFROM busybox\nRUN sleep 1000\n"})
	home := t.TempDir()
	var book logbook
	env, change := onLab(t, "prewarm: {level: all, quiet: 10ms}\n", &book)
	r := start(t, home, env, change)
	r.up(root, true)
	r.wait(root, "the warm-up", warmth("warming"))
	r.endsSoon()

	// The next daemon does not take the warm-up for one that still runs.
	delete(env, "BUILDKIT_HOST")
	again := start(t, home, env, change)
	again.wait(root, "the next daemon's picture", warmth("waiting"))
}

// TestRevokingEndsWarmUp takes consent back while the repository is warmed.
func TestRevokingEndsWarmUp(t *testing.T) {
	root := repository(t, map[string]string{"Dockerfile": "# " + rand.Text() + "\nFROM busybox\nRUN sleep 1000\n"})
	var book logbook
	env, change := onLab(t, "prewarm: {level: all, quiet: 10ms}\n", &book)
	r := start(t, t.TempDir(), env, change)
	r.up(root, true)
	r.wait(root, "the warm-up", warmth("warming"))
	if _, err := r.Allow(t.Context(), api.AllowRequest{Dir: root, Revoke: true}); err != nil {
		t.Fatal(err)
	}
	r.wait(root, "the warm-up to end", func(repo api.Repository) bool {
		w := repo.Definitions[0].Warm
		return w.State == "waiting" && w.Level == "base" && !w.At.IsZero()
	})
}

// TestStuckBuilder checks that a daemon serves, and ends soon, whose builder accepts
// connections and never answers.
func TestStuckBuilder(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	accepted := make(chan net.Conn)
	go func() {
		defer close(accepted)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			select {
			case accepted <- conn:
			case <-t.Context().Done():
				conn.Close()
			}
		}
	}()
	root := repository(t, shop)
	r := start(t, t.TempDir(), map[string]string{"BUILDKIT_HOST": "tcp://" + l.Addr().String()})
	conn := <-accepted
	defer conn.Close()
	if repo := r.up(root, true); len(repo.Definitions) != 1 {
		t.Errorf("with a stuck builder the repository has %d definitions, want 1: %+v", len(repo.Definitions), repo)
	}
	r.endsSoon()
}
