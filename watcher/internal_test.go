package watcher

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/google/go-cmp/cmp"
)

// A fakeKernel is a kernel with a limit on the number of watches.
type fakeKernel struct {
	kernel

	mu   sync.Mutex // guards room
	room int        // watches that are left; then Add fails with ENOSPC
}

func (k *fakeKernel) Add(name string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.room == 0 {
		return fmt.Errorf("add: %w", syscall.ENOSPC)
	}
	k.room--
	return k.kernel.Add(name)
}

func (k *fakeKernel) grow(n int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.room += n
}

// begin starts a watcher that delivers a batch only to Flush. It is closed when the
// test ends.
func begin(t *testing.T, root string, src source) *Watcher {
	t.Helper()
	w, err := start(root, Options{Debounce: time.Hour, CookieDir: t.TempDir(), Log: slog.New(slog.DiscardHandler)}, src)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

// flushed fails the test unless Flush returns the batch want.
func flushed(t *testing.T, w *Watcher, want Batch) {
	t.Helper()
	got, err := w.Flush(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("batch (-want +got):\n%s", diff)
	}
}

// put writes a file, and the directories above it.
func put(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(t.Name()), 0o644); err != nil {
		t.Fatal(err)
	}
}

func kernelOf(t *testing.T) *fsnotify.Watcher {
	t.Helper()
	fs, err := fsnotify.NewWatcher()
	if err != nil {
		t.Fatal(err)
	}
	return fs
}

// TestWatchLimit reaches the kernel's limit: the deepest directories are polled, the
// barrier covers them, and they are watched once there is room.
func TestWatchLimit(t *testing.T) {
	root := t.TempDir()
	put(t, root+"/a/b/c/file")
	fs := kernelOf(t)
	k := &fakeKernel{kernel: fs, room: 3} // cookies, root, a
	w := begin(t, root, source{k, fs.Events, fs.Errors})

	s := w.Status()
	if s.Directories != 2 || s.Polled != 2 || !slices.Equal(s.PolledDirs, []string{"a/b", "a/b/c"}) {
		t.Errorf("status %+v, want 2 directories watched, and a/b and a/b/c polled", s)
	}
	if !strings.Contains(s.Problem, "max_user_watches") {
		t.Errorf("problem names no setting: %s", s.Problem)
	}
	flushed(t, w, Batch{})
	put(t, root+"/a/b/c/new")
	flushed(t, w, Batch{Paths: []string{"a/b/c"}})
	put(t, root+"/a/b/d/e/new")
	put(t, root+"/a/file")
	flushed(t, w, Batch{Paths: []string{"a/b", "a/file"}})
	put(t, root+"/a/b/d/e/another")
	flushed(t, w, Batch{Paths: []string{"a/b/d/e"}})
	if err := os.Rename(root+"/a/b/d", root+"/a/b/f"); err != nil {
		t.Fatal(err)
	}
	flushed(t, w, Batch{Paths: []string{"a/b"}})
	if s, want := w.Status(), []string{"a/b", "a/b/c", "a/b/f", "a/b/f/e"}; !slices.Equal(s.PolledDirs, want) {
		t.Errorf("polled are %q after one got another name, want %q", s.PolledDirs, want)
	}
	if err := os.RemoveAll(root + "/a/b/f"); err != nil {
		t.Fatal(err)
	}
	flushed(t, w, Batch{Paths: []string{"a/b"}})

	k.grow(10)
	flushed(t, w, Batch{})
	if s := w.Status(); s.Polled != 0 || s.Directories != 4 || s.Problem != "" {
		t.Errorf("status with room again %+v, want 4 directories watched and none polled", s)
	}
	put(t, root+"/a/b/c/last")
	flushed(t, w, Batch{Paths: []string{"a/b/c/last"}})
}

// TestNoKernel: without an inotify instance everything is polled.
func TestNoKernel(t *testing.T) {
	root := t.TempDir()
	put(t, root+"/a/file")
	w := begin(t, root, source{kernel: refusing{fmt.Errorf("init: %w", syscall.EMFILE)}})
	if s := w.Status(); s.Polled != 2 || !strings.Contains(s.Problem, "max_user_instances") {
		t.Errorf("status %+v, want 2 directories polled and a problem that names max_user_instances", s)
	}
	put(t, root+"/a/new")
	flushed(t, w, Batch{Paths: []string{"a"}})
	flushed(t, w, Batch{})
}

// TestOverflow lets the kernel's queue overflow while nobody reads it.
func TestOverflow(t *testing.T) {
	limit, err := os.ReadFile("/proc/sys/fs/inotify/max_queued_events")
	var most int
	if _, scanErr := fmt.Sscan(string(limit), &most); err != nil || scanErr != nil || most > 100_000 {
		t.Skipf("no inotify queue of a known, small size: %v, %d", err, most)
	}
	root := t.TempDir()
	fs := kernelOf(t)
	events, errs := make(chan fsnotify.Event), make(chan error)
	w := begin(t, root, source{fs, events, errs})
	for i := range most/2 + 2000 { // two events each
		if err := os.Mkdir(fmt.Sprintf("%s/%d", root, i%2), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(fmt.Sprintf("%s/%d", root, i%2)); err != nil {
			t.Fatal(err)
		}
	}
	put(t, root+"/made/in/the/dark")
	go func() { // ends with the kernel's watcher, which Close closes
		for {
			select {
			case e, ok := <-fs.Events:
				if !ok {
					return
				}
				select {
				case events <- e:
				case <-w.closing:
				}
			case err, ok := <-fs.Errors:
				if !ok {
					return
				}
				select {
				case errs <- err:
				case <-w.closing:
				}
			}
		}
	}()
	flushed(t, w, Batch{Overflow: true})
	if s := w.Status(); s.Directories != 4 {
		t.Errorf("status %+v, want 4 directories watched", s)
	}
	put(t, root+"/made/in/the/light")
	flushed(t, w, Batch{Paths: []string{"made/in/the/light"}})
}

// TestSilentKernel: if the event of the cookie never comes, Flush answers Overflow
// after barrierWait.
func TestSilentKernel(t *testing.T) {
	root, cookies := t.TempDir(), t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w, err := start(root, Options{CookieDir: cookies}, source{kernel: refusing{}})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		flushed(t, w, Batch{Overflow: true})
		if d := time.Since(began); d != barrierWait {
			t.Errorf("Flush took %v, want %v", d, barrierWait)
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestDebouncer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDebouncer(100 * time.Millisecond)
		began := time.Now()
		after := func(want time.Duration) {
			t.Helper()
			<-d.C()
			if got := time.Since(began); got != want {
				t.Errorf("fired after %v, want %v", got, want)
			}
			d.stop()
			began = time.Now()
		}
		d.touch()
		after(100 * time.Millisecond)

		d.touch()
		time.Sleep(60 * time.Millisecond)
		d.touch()
		after(160 * time.Millisecond)

		for range 4 { // one each 60ms never gets quiet
			d.touch()
			time.Sleep(60 * time.Millisecond)
		}
		d.touch()
		after(300 * time.Millisecond)
	})
}

func TestPendingIsBounded(t *testing.T) {
	p := newPending(10)
	for i := range 11 {
		p.mark(fmt.Sprint(i))
	}
	if b := p.take(); !b.Overflow || b.Paths != nil {
		t.Errorf("11 paths where 10 are kept: batch %+v, want only an overflow", b)
	}
	p.markTree("a")
	for i := range 11 {
		p.mark(fmt.Sprintf("a/%d", i))
	}
	if diff := cmp.Diff(Batch{Paths: []string{"a"}}, p.take()); diff != "" {
		t.Errorf("a new directory stands for what is in it (-want +got):\n%s", diff)
	}
}

func TestQueueIsBounded(t *testing.T) {
	q := newEventQueue(3)
	for i := range 5 {
		q.push(rawEvent{fmt.Sprint(i), fsnotify.Write})
	}
	if items, lost := q.take(); !lost || len(items) != 0 {
		t.Errorf("5 events where 3 are kept: %v, lost %t; want none, and lost", items, lost)
	}
	q.push(rawEvent{"a", fsnotify.Write})
	q.push(rawEvent{"a", fsnotify.Write})
	if items, lost := q.take(); lost || len(items) != 1 {
		t.Errorf("the same event twice: %v, lost %t; want it once, and none lost", items, lost)
	}
}

// BenchmarkAdd watches 17,000 directories of 12 files, and reports the live heap per
// directory.
func BenchmarkAdd(b *testing.B) {
	root := b.TempDir()
	for i := range 17_000 {
		dir := fmt.Sprintf("%s/some-package-%d/library-%d/module-%d", root, i/1000, i/50%20, i%50)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			b.Fatal(err)
		}
		for f := range 12 {
			if err := os.WriteFile(fmt.Sprintf("%s/%d", dir, f), nil, 0o644); err != nil {
				b.Fatal(err)
			}
		}
	}
	for b.Loop() {
		before := liveHeap()
		w, err := New(root, Options{CookieDir: b.TempDir()})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(liveHeap()-before)/float64(w.Status().Directories), "B/dir")
		if err := w.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkEvents writes files, and flushes after every 1,000.
func BenchmarkEvents(b *testing.B) {
	root := b.TempDir()
	w, err := New(root, Options{CookieDir: b.TempDir(), Debounce: time.Hour})
	if err != nil {
		b.Fatal(err)
	}
	defer w.Close()
	for i := 0; b.Loop(); i++ {
		if err := os.WriteFile(fmt.Sprintf("%s/%d", root, i%1000), nil, 0o644); err != nil {
			b.Fatal(err)
		}
		if i%1000 == 999 {
			if _, err := w.Flush(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	}
}
