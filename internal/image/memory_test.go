// The race detector has each allocation cost more memory and ten times the time, so `make test` runs
// this apart.

//go:build !race

package image_test

import (
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stokerd/stoker/internal/image"
)

// TestMemory holds what an analysis keeps in memory: it follows the number of files, and not the 2 GiB that they are.
func TestMemory(t *testing.T) {
	const files, parts, disk = 60_000, 16, 2 << 10
	var p picture
	for n := range uint64(parts) {
		p.layers = append(p.layers, machine(t, n, files/parts, 1000))
	}
	l := &layout{}
	d := l.image(t, picture{compression: "zstd", layers: p.layers, packed: []packed{zeroLayer(t, "disk.img", disk)}})
	big := write(t, filepath.Join(t.TempDir(), "image.tar"), l.index(t, d).tar(t))
	p.layers, l = nil, nil
	held := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := held()
	stop, done, peak := make(chan struct{}), make(chan struct{}), atomic.Uint64{}
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			case <-time.After(10 * time.Millisecond):
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				peak.Store(max(peak.Load(), m.HeapAlloc))
			}
		}
	}()
	f, err := os.Open(big)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	a, err := image.Analyse(t.Context(), image.Stream("big", io.Reader(f), image.OpenOptions{}), options(t, image.AppSecrets))
	close(stop)
	<-done
	if err != nil {
		t.Fatal(err)
	}
	if a.Visible < disk<<20 {
		t.Errorf("%d bytes were looked at, which is not what there is", a.Visible)
	}
	after := held()
	t.Logf("%d files: peak %d MB, kept %d MB", a.Files, int64(peak.Load()-min(before, peak.Load()))>>20, (after-before)>>20)
	if kept := int64(after) - int64(before); kept > 40<<20 {
		t.Errorf("%d MB are kept for %d files", kept>>20, a.Files)
	}
	if most := int64(peak.Load()) - int64(before); most > 100<<20 {
		t.Errorf("up to %d MB were used", most>>20)
	}
	runtime.KeepAlive(a)
}
