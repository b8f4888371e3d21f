package image_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stokerd/stoker/internal/image"
)

// machine is a layer such as a distribution's or a program's: files of many sizes that compress to about a third.
func machine(t testing.TB, seed uint64, files int, mean int) []byte {
	t.Helper()
	rnd := rand.New(rand.NewPCG(seed, 1))
	phrases := make([][]byte, 2000)
	for i := range phrases {
		phrases[i] = make([]byte, 3+rnd.IntN(30))
		for k := range phrases[i] {
			phrases[i][k] = byte(rnd.Uint32())
		}
	}
	list := make([]file, files)
	for i := range list {
		size := rnd.IntN(2 * mean)
		var b bytes.Buffer
		b.WriteString("\x7fELF")
		for b.Len() < size {
			b.Write(phrases[rnd.IntN(len(phrases))])
		}
		list[i] = file{name: fmt.Sprintf("usr/lib/part%02d/package%03d/file%d-%d", i%20, i%500, seed, i), body: b.String(), mode: 0o755}
	}
	return pack(t, list...)
}

// BenchmarkAnalyse reads a layout of 200 MB, gzip and zstd, beside `tar -t` on the same layers one after the other.
func BenchmarkAnalyse(b *testing.B) {
	for _, how := range []string{"gzip", "zstd"} {
		p := picture{compression: how}
		var size int64
		for n := range uint64(4) {
			p.layers = append(p.layers, machine(b, n, 2500, 20_000))
			size += int64(len(p.layers[n]))
		}
		l := one(b, p)
		dir := l.dir(b)
		p.layers = nil
		var ours, tars time.Duration
		b.Run(how, func(b *testing.B) {
			b.SetBytes(size)
			for b.Loop() {
				began := time.Now()
				if _, err := open(b, dir, image.OpenOptions{}, options(b, image.AppSecrets)); err != nil {
					b.Fatal(err)
				}
				ours += time.Since(began)
				began = time.Now()
				for n := range 4 {
					cmd := exec.Command("tar", "--"+how, "-tf", filepath.Join(dir, l.layerName(n)))
					if out, err := cmd.CombinedOutput(); err != nil {
						b.Fatalf("tar: %v\n%s", err, out)
					}
				}
				tars += time.Since(began)
			}
			b.ReportMetric(ours.Seconds()/tars.Seconds(), "x-tar")
		})
	}
}

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
