package watcher_test

import (
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stokerd/stoker/internal/randtest"
	"github.com/stokerd/stoker/watcher"
)

// A picture is a consumer: what it believes to be below the root, going by batches
// alone.
type picture struct {
	root  string
	files map[string]string // path -> metadata
}

func newPicture(root string) *picture {
	p := &picture{root: root}
	p.apply(watcher.Batch{Overflow: true})
	return p
}

// apply follows the rules in the comment of watcher.Batch.
func (p *picture) apply(b watcher.Batch) {
	paths := b.Paths
	if b.Overflow {
		paths = []string{"."}
	}
	for _, path := range paths {
		if path == "." {
			p.files = make(map[string]string)
		}
		delete(p.files, path)
		for known := range p.files {
			if strings.HasPrefix(known, path+"/") {
				delete(p.files, known)
			}
		}
		if up := filepath.Dir(path); up != "." && !strings.HasPrefix(p.files[up], "d") {
			continue // gone, or behind a symlink; otherwise there will be an event
		}
		_ = filepath.WalkDir(filepath.Join(p.root, path), func(abs string, d fs.DirEntry, err error) error {
			if err != nil {
				return nil // it disappeared while we looked: there will be an event
			}
			fi, err := d.Info()
			if err != nil || abs == p.root {
				return nil
			}
			facts := fi.Mode().String()
			if !fi.IsDir() {
				facts += fmt.Sprintf(" %d %d", fi.Size(), fi.ModTime().UnixNano())
			}
			p.files[strings.TrimPrefix(abs, p.root+"/")] = facts
			return nil
		})
	}
}

// equal fails the test unless the picture equals the disk.
func (p *picture) equal(t *testing.T) {
	t.Helper()
	if diff := cmp.Diff(newPicture(p.root).files, p.files); diff != "" {
		t.Fatalf("the picture differs from the disk (-disk +picture):\n%s", diff)
	}
}

// mutate does one random operation below root. It ignores errors, since several
// goroutines do this at a time.
func mutate(r *rand.Rand, root string) {
	path := func() string {
		s := root
		for range 1 + r.IntN(4) {
			s += "/" + string(rune('a'+r.IntN(4)))
		}
		return s
	}
	p := path()
	switch r.IntN(12) {
	case 0, 1, 2:
		_ = os.MkdirAll(p, 0o755)
	case 3, 4, 5:
		_ = os.MkdirAll(filepath.Dir(p), 0o755)
		_ = os.WriteFile(p, make([]byte, r.IntN(9)), 0o644)
	case 6:
		_ = os.Remove(p)
	case 7:
		_ = os.RemoveAll(p)
	case 8, 9:
		_ = os.Rename(p, path())
	case 10:
		_ = os.Chmod(p, 0o700|fs.FileMode(r.IntN(64)))
	case 11:
		_ = os.Symlink(path(), p)
	}
}

// storm runs several goroutines, each of which does n operations.
func storm(root string, seed uint64, goroutines, n int) {
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(g)))
			for range n {
				mutate(r, root)
			}
		})
	}
	wg.Wait()
}

// TestPictureFollowsDisk tests the main guarantee: whatever happens, a consumer that
// only sees batches knows what is on disk. Batches are applied during the storms too,
// so that some of the paths are gone or different by then.
func TestPictureFollowsDisk(t *testing.T) {
	for seed := range randtest.Seeds(t, 4, 100) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			storm(root, seed+100, 1, 50)
			w := open(t, root, watcher.Options{Debounce: time.Millisecond})
			p := newPicture(root)
			for round := range uint64(10) {
				done := make(chan struct{})
				go func() {
					storm(root, seed<<32+round, 3, 60)
					close(done)
				}()
				for busy := true; busy; {
					select {
					case b := <-w.Batches():
						p.apply(b)
					case <-done:
						busy = false
					}
				}
				p.apply(flush(t, w))
				p.equal(t)
			}
			dirs := 1
			for _, facts := range p.files {
				if facts[0] == 'd' {
					dirs++
				}
			}
			if got := w.Status().Directories; got != dirs {
				t.Errorf("%d directories are watched, want %d", got, dirs)
			}
		})
	}
}

// TestPictureFollowsTrees creates directories with their content while they are being
// discovered.
func TestPictureFollowsTrees(t *testing.T) {
	root := t.TempDir()
	w := open(t, root, watcher.Options{Debounce: time.Millisecond})
	p := newPicture(root)
	for round := range 20 {
		var wg sync.WaitGroup
		for g := range 4 {
			wg.Go(func() {
				dir := fmt.Sprintf("%s/%d/%d", root, round, g)
				for depth := range 12 {
					dir += fmt.Sprintf("/%d", depth)
					if err := os.MkdirAll(dir+"/side/way", 0o755); err != nil {
						t.Error(err)
					}
					if err := os.WriteFile(dir+"/side/way/file", nil, 0o644); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		p.apply(flush(t, w))
		p.equal(t)
	}
}

// TestBarrier makes 200 rounds of 20 writes in 50 directories: a Flush right after
// them returns all of them.
func TestBarrier(t *testing.T) {
	root := t.TempDir()
	for d := range 50 {
		if err := os.Mkdir(fmt.Sprintf("%s/%d", root, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	w := open(t, root, watcher.Options{Debounce: time.Hour})
	r := rand.New(rand.NewPCG(1, 2))
	var worst time.Duration
	for round := range 200 {
		want := make(map[string]bool)
		for range 20 {
			rel := fmt.Sprintf("%d/%d", r.IntN(50), r.IntN(5))
			want[rel] = true
			if err := os.WriteFile(root+"/"+rel, []byte{byte(round)}, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		began := time.Now()
		b := flush(t, w)
		worst = max(worst, time.Since(began))
		got := make(map[string]bool)
		for _, path := range b.Paths {
			got[path] = true
		}
		if diff := cmp.Diff(want, got); diff != "" || b.Overflow {
			t.Fatalf("round %d: overflow %v, paths (-want +got):\n%s", round, b.Overflow, diff)
		}
	}
	t.Logf("worst wait %v", worst)
}

// TestFlushTogether calls Flush from many goroutines: each write that one of them made
// before its call is in a batch that some call returned.
func TestFlushTogether(t *testing.T) {
	root := t.TempDir()
	w := open(t, root, watcher.Options{Debounce: time.Hour})
	var mu sync.Mutex // guards seen
	seen := make(map[string]bool)
	note := func(b watcher.Batch) {
		mu.Lock()
		defer mu.Unlock()
		for _, path := range b.Paths {
			seen[path] = true
		}
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 50 {
				if err := os.WriteFile(fmt.Sprintf("%s/%d-%d", root, g, i), nil, 0o644); err != nil {
					t.Error(err)
				}
				ctx, cancel := context.WithCancel(t.Context())
				if i%5 == 0 {
					cancel() // nothing is lost with a caller that gives up
				}
				b, err := w.Flush(ctx)
				cancel()
				if err != nil && i%5 != 0 {
					t.Error(err)
				}
				note(b)
			}
		})
	}
	wg.Wait()
	note(flush(t, w))
	if len(seen) != 400 {
		t.Errorf("%d of 400 files were reported", len(seen))
	}
}

// TestCloseInStorm closes a watcher while events come in.
func TestCloseInStorm(t *testing.T) {
	root := t.TempDir()
	w := open(t, root, watcher.Options{Debounce: time.Millisecond})
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		r := rand.New(rand.NewPCG(1, 2))
		for {
			select {
			case <-stop:
				return
			default:
				mutate(r, root)
			}
		}
	})
	<-w.Batches()
	began := time.Now()
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if d := time.Since(began); d > time.Second {
		t.Errorf("Close took %v, want at most a second", d)
	}
	close(stop)
	wg.Wait()
	for range w.Batches() {
		t.Error("batch after Close")
	}
	if _, err := w.Flush(t.Context()); err != watcher.ErrClosed {
		t.Errorf("Flush after Close: %v, want ErrClosed", err)
	}
	if err := w.SetPrune(nil); err != watcher.ErrClosed {
		t.Errorf("SetPrune after Close: %v, want ErrClosed", err)
	}
}

func TestNewRefuses(t *testing.T) {
	dir := t.TempDir()
	file := dir + "/file"
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]struct{ root, cookies string }{
		"missing root":           {dir + "/none", t.TempDir()},
		"root is a file":         {file, t.TempDir()},
		"cookies below root":     {dir, dir + "/cookies"},
		"cookies in a file":      {dir, file + "/cookies"},
		"root itself as cookies": {dir, dir},
	} {
		if w, err := watcher.New(o.root, watcher.Options{CookieDir: o.cookies}); err == nil {
			w.Close()
			t.Errorf("%s: no error", name)
		} else {
			t.Logf("%s: %v", name, err)
		}
	}
}

// TestFlushWithoutCookies: without a directory for the barrier, Flush answers Overflow
// at once.
func TestFlushWithoutCookies(t *testing.T) {
	w, err := watcher.New(t.TempDir(), watcher.Options{Debounce: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	batch, err := w.Flush(t.Context())
	if err != nil || !batch.Overflow {
		t.Errorf("Flush = %+v, %v, want Overflow", batch, err)
	}
}
