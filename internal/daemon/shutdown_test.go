package daemon_test

import (
	"crypto/rand"
	"net"
	"testing"
	"time"

	"github.com/stokerd/stoker/internal/api"
)

// soon is far above what ending takes, and far below what the builder's client
// waits for of its own accord (three seconds).
const soon = 2 * time.Second

func (r *running) endsSoon() {
	r.t.Helper()
	began := time.Now()
	r.end()
	took := time.Since(began)
	r.t.Logf("ended in %v", took)
	if took > soon {
		r.t.Errorf("ending took %v", took)
	}
}

func TestEndsDuringWarmUp(t *testing.T) {
	root := repository(t, map[string]string{"Dockerfile": "# " + rand.Text() + "\nFROM busybox\nRUN sleep 1000\n"})
	home := t.TempDir()
	var book logbook
	env, change := onLab(t, "prewarm: {level: all, quiet: 10ms}\n", &book)
	r := start(t, home, env, change)
	r.up(root, true)
	r.wait(root, "the warm-up", warmth("warming"))
	r.endsSoon()

	// One that a crash cut short does not count as running.
	delete(env, "BUILDKIT_HOST")
	again := start(t, home, env, change)
	again.wait(root, "the next daemon's picture", warmth("waiting"))
}

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

// TestStuckBuilder has a builder that takes connections and says nothing.
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
		t.Errorf("a stuck builder keeps the repository from being served: %+v", repo)
	}
	r.endsSoon()
}
