package image_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
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
