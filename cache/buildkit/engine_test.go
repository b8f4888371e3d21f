package buildkit_test

import (
	"bufio"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/moby/buildkit/client"

	"github.com/stokerd/stoker/cache/buildkit"
	"github.com/stokerd/stoker/internal/lab"
)

// TestWorkerOldEngine: where images are kept as before Docker 29, BuildKit cannot merge, and a COPY --link is a plain one.
func TestWorkerOldEngine(t *testing.T) {
	env := environment{vars: map[string]string{"DOCKER_HOST": lab.OwnOldEngine(t).Engine()}}
	found, err := buildkit.Discover(t.Context(), env.make(t), "docker")
	if err != nil || len(found.Builders) != 1 {
		t.Fatalf("%d builders, %v: %s", len(found.Builders), err, found.Problem())
	}
	defer found.Builders[0].Close()
	w, err := found.Builders[0].Worker(t.Context())
	if err != nil || w.Caps == nil || slices.Contains(w.Caps, "mergeop") || !slices.Contains(w.Caps, "file.base") {
		t.Errorf("it converts as %+v, %v", w, err)
	}
}

// TestDiscoverEngine finds a real Docker Engine in each way that leads to one, warms a build on it, and has another
// client find it warm. From 29 on an Engine speaks gRPC on its socket; where one does not, it is reached by /grpc.
func TestDiscoverEngine(t *testing.T) {
	l := lab.OwnEngine(t)
	other, err := client.New(t.Context(), l.Engine())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Close() })
	meta := `{"Name":"far","Endpoints":{"docker":{"Host":"ADDR","SkipTLSVerify":false}}}`
	for _, test := range []struct {
		name, explicit string
		env            environment
		old            bool
		want           string // name
	}{
		{name: "DOCKER_HOST", env: environment{vars: map[string]string{"DOCKER_HOST": "ADDR"}}, want: "docker"},
		{name: "as it is named", explicit: "docker", env: environment{vars: map[string]string{"DOCKER_HOST": "ADDR"}}, want: "docker"},
		{name: "before 29", env: environment{vars: map[string]string{"DOCKER_HOST": "ADDR"}}, old: true, want: "docker"},
		{name: "DOCKER_CONTEXT", env: environment{
			vars:  map[string]string{"DOCKER_CONTEXT": "far"},
			files: map[string]string{".docker/contexts/meta/" + digestOf("far") + "/meta.json": meta},
		}, want: "far"},
		{name: "the current context", env: environment{files: map[string]string{
			".docker/contexts/meta/" + digestOf("far") + "/meta.json": meta,
			".docker/config.json": `{"currentContext":"far"}`,
		}}, want: "far"},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := newDoor(t, l.Engine(), test.old)
			for key, text := range test.env.vars {
				test.env.vars[key] = strings.ReplaceAll(text, "ADDR", d.address)
			}
			for key, text := range test.env.files {
				test.env.files[key] = strings.ReplaceAll(text, "ADDR", d.address)
			}
			found, err := buildkit.Discover(t.Context(), test.env.make(t), test.explicit)
			if err != nil || len(found.Builders) != 1 {
				t.Fatalf("%d builders, %v: %s", len(found.Builders), err, found.Problem())
			}
			b := found.Builders[0]
			defer b.Close()
			if i := b.Info(); i.Name != test.want || i.Kind != "docker" || !strings.HasPrefix(i.Version, "v0.") || len(i.Workers) != 1 || len(i.Platforms) == 0 {
				t.Errorf("found %+v, want the Docker Engine %s with one worker", i, test.want)
			}
			dir, definition := project(t, fullFile)
			if err := b.Warm(t.Context(), buildkit.Request{Definition: definition, Dockerfile: []byte(fullFile)}); err != nil {
				t.Fatal(err)
			}
			ref, err := build(t.Context(), t, other, dir, nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := outcomes(observe(t, b, ref).Record); got != "hit hit hit hit" {
				t.Errorf("the build after warming: %s", got)
			}
			if seen := d.seen(); strings.Contains(seen, "POST /grpc") != test.old || !test.old && strings.Contains(seen, "POST ") {
				t.Errorf("it was spoken to by\n%s", seen)
			}
		})
	}
}

// A door leads to an Engine, and sees how it is spoken to. An old one takes HTTP/1 only, as Engines before 29 do.
type door struct {
	address string

	mu    sync.Mutex // guards what follows
	lines []string
}

func newDoor(t *testing.T, engine string, old bool) *door {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	d := &door{address: "unix://" + socket}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { d.pass(conn, strings.TrimPrefix(engine, "unix://"), old) })
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return d
}

func (d *door) pass(conn net.Conn, to string, old bool) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	line, err := in.ReadString('\n')
	if err != nil {
		return
	}
	d.mu.Lock()
	d.lines = append(d.lines, line)
	d.mu.Unlock()
	if old && strings.HasPrefix(line, "PRI ") {
		_, _ = io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		return
	}
	behind, err := net.Dial("unix", to)
	if err != nil {
		return
	}
	defer behind.Close()
	var back sync.WaitGroup
	back.Go(func() { _, _ = io.Copy(conn, behind); conn.Close() })
	if _, err := io.WriteString(behind, line); err == nil {
		_, _ = io.Copy(behind, in)
	}
	behind.Close()
	back.Wait()
}

// seen returns the first line of each connection.
func (d *door) seen() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Join(d.lines, "")
}
