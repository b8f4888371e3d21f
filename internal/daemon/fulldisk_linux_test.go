package daemon_test

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/lab"
)

// TestFullDisk fills the disk that the store is on. The daemon goes on, and says which builds it
// could not store. Once there is room again, it gets them from the builder's history.
func TestFullDisk(t *testing.T) {
	own := lab.Own(t)
	r := startProcess(t, own.Address())
	r.stop(false)
	disk := filepath.Join(r.home, "state")
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=2m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(disk, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	r.start()
	nonce := strings.ToLower(rand.Text())
	w := &walk{t: t, dir: t.TempDir(), daemon: r, builder: dial(t, own.Address()), nonce: nonce}
	w.write("Dockerfile", "FROM scratch\nCOPY src /"+nonce+"\n")
	w.write("src/a", nonce)
	if _, err := r.Up(t.Context(), api.UpRequest{Dir: w.dir}); err != nil {
		t.Fatal(err)
	}
	w.build()
	w.seen("the first build")
	builds := 1
	filler := filepath.Join(disk, "filler")
	if err := os.WriteFile(filler, make([]byte, 4<<20), 0o600); !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("the disk is not full: %v", err)
	}
	// The store has some room of its own, so it takes a few builds until one is not stored.
	for lost := false; !lost; builds++ {
		w.write("src/a", rand.Text())
		w.write("src/"+rand.Text(), rand.Text())
		if builds > 200 {
			t.Fatal("200 builds were stored on a full disk")
		}
		waitForClock(t) // what a build took that was not seen is told by the times of files
		w.build()
		if p := w.predict(); len(p.Steps) != 1 {
			t.Fatalf("predicted on a full disk: %+v", p)
		}
		text := string(r.log.text())
		lost = strings.Contains(text, "store a finished build") && strings.Contains(text, "no space left")
	}
	u := r.unstored()
	if u == nil || u.Builds != 1 || time.Since(u.Since) > 10*time.Minute || !strings.Contains(u.Problem, "no space left") ||
		!strings.Contains(u.Problem, r.paths.Store) || u.Hint == "" {
		t.Errorf("on a full disk the status says %+v", u)
	}
	if text := r.metrics(); !strings.Contains(text, "stoker_unstored_builds 1\n") {
		t.Errorf("on a full disk the metrics lack stoker_unstored_builds 1:\n%s", text)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	r.wait(w.dir, "all builds", func(repo api.Repository) bool { return repo.Definitions[0].Builds == builds })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	stored := errors.New("all is stored")
	err := r.Watch(ctx, func(s api.Status) error {
		if u = s.Daemon.Unstored; u == nil {
			return stored
		}
		return nil
	})
	if !errors.Is(err, stored) {
		t.Fatalf("with room again the status says %+v: %v", u, err)
	}
	if text := r.metrics(); !strings.Contains(text, "stoker_unstored_builds 0\n") {
		t.Errorf("with room again the metrics lack stoker_unstored_builds 0:\n%s", text)
	}
	r.predicts(w.dir, "with room again", "hit")
	r.stop(false)
	r.start()
	r.predicts(w.dir, "after a restart", "hit")
	r.wait(w.dir, "all builds", func(repo api.Repository) bool { return repo.Definitions[0].Builds == builds })
	w.write("src/a", nonce+"again")
	w.build()
	w.seen("the build after that")
	r.predicts(w.dir, "with room again, after a build", "hit")
}

// unstored returns what the status says of builds that could not be stored.
func (r *running) unstored() *api.Unstored {
	r.t.Helper()
	s, err := r.Status(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	return s.Daemon.Unstored
}

// metrics returns what the daemon serves on its socket for Prometheus.
func (r *running) metrics() string {
	r.t.Helper()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", r.paths.Socket)
	}}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, "http://stoker.local/metrics", http.NoBody)
	if err != nil {
		r.t.Fatal(err)
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(text)
}
