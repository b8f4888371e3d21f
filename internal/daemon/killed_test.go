package daemon_test

import (
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/lab"
	"github.com/stokerd/stoker/internal/randtest"
)

// TestKilledWhileRecording kills the daemon at random moments around the end of a build. Each
// time it must start on what it stored, have all builds that it had told of and, once it has
// read the builder's history, each build once.
func TestKilledWhileRecording(t *testing.T) {
	own := lab.Own(t)
	r := startProcess(t, own.Address())
	nonce := strings.ToLower(rand.Text())
	w := &walk{t: t, dir: t.TempDir(), daemon: r, builder: dial(t, own.Address()), nonce: nonce}
	w.write("Dockerfile", "FROM scratch\nCOPY a /"+nonce+"\nCOPY b /"+nonce+"\n")
	w.write("a", nonce)
	if _, err := r.Up(t.Context(), api.UpRequest{Dir: w.dir}); err != nil {
		t.Fatal(err)
	}
	builds := 0
	for seed := range randtest.Seeds(t, 5, 200) {
		draw := mathrand.New(mathrand.NewPCG(seed, 21))
		w.write("b", fmt.Sprint(nonce, draw.IntN(3)))
		killed := make(chan struct{})
		time.AfterFunc(time.Duration(draw.IntN(400))*time.Millisecond, func() { r.cmd.Process.Kill(); close(killed) })
		for range 1 + draw.IntN(2) {
			w.build()
			builds++
		}
		told := r.builds(w.dir) // as long as it lives
		<-killed
		r.stop(true)
		r.start()
		if now := r.builds(w.dir); now < told || now > builds {
			t.Fatalf("seed %d: the daemon told of %d builds of %d, was killed, and has %d", seed, told, builds, now)
		}
		r.wait(w.dir, "all builds", func(repo api.Repository) bool { return repo.Definitions[0].Builds >= builds })
	}
	stats, err := r.Stats(t.Context(), api.StatsRequest{Since: 3600 * 24, Dir: w.dir})
	if err != nil {
		t.Fatal(err)
	}
	d := stats.Definitions[0]
	for _, s := range d.Steps {
		if s.Hits+s.Misses != builds {
			t.Errorf("%s: %d hits and %d misses in %d builds", s.Name, s.Hits, s.Misses, builds)
		}
	}
	if d.Builds != builds || len(d.Steps) != 2 {
		t.Errorf("after %d builds, %d builds of %d steps are counted, want all of 2 steps", builds, d.Builds, len(d.Steps))
	}
	if text := string(r.log.text()); strings.Contains(text, "panic") || strings.Contains(text, "was corrupt") {
		t.Errorf("the store was not opened as it was, or the daemon panicked:\n%s", text)
	}
}

// builds returns how many builds the daemon has of the only definition of dir, 0 if it does
// not answer.
func (r *running) builds(dir string) int {
	status, err := r.Status(r.t.Context())
	if err != nil {
		return 0
	}
	for _, repo := range status.Repositories {
		if repo.Root == dir && len(repo.Definitions) == 1 {
			return repo.Definitions[0].Builds
		}
	}
	return 0
}
