package daemon_test

import (
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/lab"
)

// digested returns how many bytes of files the daemon has digested, according to its metrics.
func (r *running) digested() int {
	r.t.Helper()
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true, Dial: func(string, string) (net.Conn, error) { return net.Dial("unix", r.paths.Socket) }}}
	resp, err := c.Get("http://stoker.local/metrics")
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	total := 0
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "stoker_digested_bytes_total"); ok {
			_, value, _ := strings.Cut(rest, "} ")
			var n float64
			if _, err := fmt.Sscan(value, &n); err != nil {
				r.t.Fatalf("%q: %v", line, err)
			}
			total += int(n)
		}
	}
	return total
}

// TestNothingIsReadTwice restarts a daemon that has digested a context. It must read nothing
// of that again, and after an edit while no daemon ran only the file that was edited.
func TestNothingIsReadTwice(t *testing.T) {
	r := startProcess(t, lab.For(t).Address())
	files := map[string]string{"Dockerfile": "FROM busybox\nCOPY . /all\nCOPY src /src\n"}
	size := len(files["Dockerfile"])
	for i := range 300 {
		text := strings.Repeat(rand.Text(), 20)
		files[fmt.Sprintf("src/d%02d/f%d", i%30, i)] = text
		size += len(text)
	}
	root := repository(t, files)
	if _, err := r.Up(t.Context(), api.UpRequest{Dir: root}); err != nil {
		t.Fatal(err)
	}
	predict := func() {
		t.Helper()
		if _, err := r.Predict(t.Context(), api.PredictRequest{Query: api.Query{Dir: root}}); err != nil {
			t.Fatal(err)
		}
	}
	predict()
	n := r.digested()
	if n < size {
		t.Errorf("the first prediction digested %d bytes, want at least all %d", n, size)
	}
	for deadline := time.Now().Add(time.Minute); ; n = r.digested() {
		// A file that has just been written may be written again within one tick of the
		// clock that stamps it, and is read until that is over.
		if predict(); r.digested() == n {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("each prediction of a minute digested files again, want none to do so in the end")
		}
	}
	for range 2 {
		r.stop(false)
		r.start()
		predict()
		if n := r.digested(); n != 0 {
			t.Errorf("after a restart %d bytes are digested, want 0", n)
		}
	}
	r.stop(false)
	write(t, filepath.Join(root, "src/d07/f7"), "edited while nobody watched")
	r.start()
	predict()
	if n, want := r.digested(), len("edited while nobody watched"); n == 0 || n%want != 0 || n > 10*want {
		t.Errorf("after an edit while no daemon ran %d bytes are digested, want %d, or a small multiple of that", n, want)
	}
}
