package daemon_test

import (
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/lab"
)

// TestFullDisk fills the disk that the store is on. The daemon goes on and logs which builds it
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
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	r.stop(false)
	r.start()
	r.wait(w.dir, "all builds", func(repo api.Repository) bool { return repo.Definitions[0].Builds == builds })
	w.write("src/a", nonce+"again")
	w.build()
	w.seen("the build after that")
	r.predicts(w.dir, "with room again, after a build", "hit")
}
