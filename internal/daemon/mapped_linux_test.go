package daemon_test

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/lab"
)

// TestPredictMapped: no event tells of a write to a file that is mapped into memory, and still
// the prediction knows that the file has changed.
func TestPredictMapped(t *testing.T) {
	r := startOn(t, lab.For(t).Address())
	dir, nonce := lab.Dir(t), strings.ToLower(rand.Text())
	write(t, filepath.Join(dir, "Dockerfile"), "FROM node:20\nCOPY src /"+nonce+"/\nRUN echo "+nonce+"\n")
	write(t, filepath.Join(dir, "src", "data"), nonce)
	if _, err := r.Up(t.Context(), api.UpRequest{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	other := walk{t: t, dir: dir, builder: dial(t, lab.For(t).Address())}
	other.build()
	r.recorded(dir, &other)
	r.predicts(dir, "as built", "hit hit")
	f, err := os.OpenFile(filepath.Join(dir, "src", "data"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data, err := syscall.Mmap(int(f.Fd()), 0, len(nonce), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	data[0] = '-'
	r.predicts(dir, "while it is mapped", "miss miss")
	if err := syscall.Munmap(data); err != nil {
		t.Fatal(err)
	}
	if ran := other.build(); !ran["[2/3]"] || !ran["[3/3]"] {
		t.Errorf("the build ran %v, want that it runs both steps", ran)
	}
}
