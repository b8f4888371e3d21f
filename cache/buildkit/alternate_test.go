package buildkit_test

import (
	"crypto/rand"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/moby/buildkit/client"
	"github.com/tonistiigi/fsutil"
)

// A counted folder counts how often a file of it is sent.
type counted struct {
	fsutil.FS
	sent *atomic.Int32
}

func (c counted) Open(name string) (io.ReadCloser, error) {
	if filepath.Base(name) == "large" {
		c.sent.Add(1)
	}
	return c.FS.Open(name)
}

// TestAlternatingBuilds shows what the rule alternating-context rests on: the builder
// keeps one copy of a context for each name of its folder, cut to what the last
// build asked for, so that builds of one folder which ask for different files send
// them again and again; and what helps.
func TestAlternatingBuilds(t *testing.T) {
	const whole, part = "FROM scratch\nCOPY large small /\n", "FROM scratch\nCOPY small /\n"
	for _, c := range []struct {
		name, other string // the build in between
		key         string // under which that sends its folder; "" for the same
		files       string // the named context that it takes them from; "" for none
		again       int32
	}{
		{name: "nothing in between", other: whole},
		{name: "one that asks for less", other: part, again: 1},
		{name: "one of a folder of another name", other: part, key: "another"},
		{name: "one that takes its files from a named context", other: "FROM scratch\nCOPY --from=files small /\n", files: "files"},
		{name: "one that asks for as much", other: "FROM scratch AS all\nCOPY large /\nFROM scratch\nCOPY small /\nCOPY --from=all /large /\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, key := t.TempDir(), rand.Text()
			var sent atomic.Int32
			run := func(text, key, files string) {
				t.Helper()
				for name, content := range map[string]string{"Dockerfile": text, "large": strings.Repeat("x", 1<<20), "small": "x"} {
					if old, err := os.ReadFile(filepath.Join(dir, name)); err == nil && string(old) == content {
						continue
					}
					if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				fs, err := fsutil.NewFS(dir)
				if err != nil {
					t.Fatal(err)
				}
				opt := client.SolveOpt{
					Frontend: "dockerfile.v0", FrontendAttrs: map[string]string{"filename": "Dockerfile"}, SharedKey: key,
					LocalMounts: map[string]fsutil.FS{"context": counted{fs, &sent}, "dockerfile": fs},
				}
				if files != "" {
					opt.FrontendAttrs["context:"+files] = "local:" + files
					opt.LocalMounts[files] = counted{fs, &sent}
				}
				if _, err := otherClient(t).Solve(t.Context(), nil, opt, nil); err != nil {
					t.Fatal(err)
				}
			}
			run(whole, key, "")
			if sent.Load() != 1 {
				t.Fatalf("the first build sent the file %d times", sent.Load())
			}
			other := key
			if c.key != "" {
				other += c.key
			}
			run(c.other, other, c.files)
			run(whole, key, "")
			if got := sent.Load() - 1; got != c.again {
				t.Errorf("the file was sent again %d times, want %d", got, c.again)
			}
		})
	}
}
