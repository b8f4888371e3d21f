package smoke_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stokerd/stoker/cache/buildkit"
	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/internal/lab"
	"github.com/stokerd/stoker/internal/smoke"
)

func TestMain(m *testing.M) {
	lab.Main(m)
	_ = os.RemoveAll(toolFolder)
}

// toolFolder is where tool compiles to, "" if it did not.
var toolFolder string

// tool compiles the probe once.
var tool = sync.OnceValues(func() (_ string, err error) {
	if toolFolder, err = os.MkdirTemp("", "stoker-probe"); err != nil {
		return "", err
	}
	name := filepath.Join(toolFolder, "probe")
	cmd := exec.Command("go", "build", "-o", name, "./testdata/probe")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return name, nil
})

// image is a definition of an image that no other test has met, and its text. The folder holds the probe as server.
func image(t *testing.T, text string) buildkit.Request {
	t.Helper()
	dir := lab.Dir(t)
	program, err := tool()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	text = strings.Replace(text, "\n", "\nLABEL test="+rand.Text()+"\n", 1)
	for name, content := range map[string][]byte{"Dockerfile": []byte(text), "server": data, "unique": []byte(rand.Text())} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	d := buildctx.Definition{Name: "app", Context: dir, Dockerfile: filepath.Join(dir, "Dockerfile")}
	return buildkit.Request{Definition: d, Dockerfile: []byte(text)}
}

func connect(t *testing.T) *buildkit.Builder {
	t.Helper()
	env := buildkit.Env{Getenv: func(string) string { return "" }, Home: t.TempDir(), OS: "linux", UID: -1}
	b, err := buildkit.Connect(t.Context(), env, lab.For(t).Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// connectEngine connects to a Docker Engine, as stoker does.
func connectEngine(t *testing.T, l *lab.Lab) *buildkit.Builder {
	t.Helper()
	address := l.Engine()
	env := buildkit.Env{Getenv: func(name string) string {
		return map[string]string{"DOCKER_HOST": address}[name]
	}, Home: t.TempDir(), OS: "linux", UID: -1}
	d, err := buildkit.Discover(t.Context(), env, "docker")
	if err != nil || len(d.Builders) != 1 {
		t.Fatalf("%v: %s", err, d.Problem())
	}
	t.Cleanup(func() { d.Builders[0].Close() })
	return d.Builders[0]
}

// logs is a buffer that several goroutines write to.
type logs struct {
	mu sync.Mutex
	bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Buffer.Write(p)
}

const httpd = `CMD ["httpd", "-f", "-v", "-p", "8080", "-h", "/www"]`

// TestImages runs images on a real builder. What a check says is given in part.
func TestImages(t *testing.T) { runImages(t, connect(t)) }

// TestImagesEngine runs them in a Docker Engine.
func TestImagesEngine(t *testing.T) { runImages(t, connectEngine(t, lab.OwnEngine(t))) }

func runImages(t *testing.T, b *buildkit.Builder) {
	tests := []struct {
		name, text string
		options    smoke.Options
		want       map[string]string // check → state and a part of its text, "|" between what it may be
	}{
		{
			"a server of a port", "FROM busybox\nRUN mkdir /www && echo hello >/www/index.html\nUSER 65532\nEXPOSE 8080\n" + httpd,
			smoke.Options{},
			map[string]string{"starts": "passed port 8080 accepted", "user": "passed user 65532", "writes": "passed nothing", "stops": "failed does not stop within"},
		},
		{
			"an HTTP path on a port that nothing declares", "FROM busybox\nRUN mkdir /www && echo hello >/www/index.html\nUSER 65532\n" + httpd,
			smoke.Options{HTTP: "/index.html"},
			map[string]string{"starts": "passed :8080/index.html answered 200"},
		},
		{
			"an HTTP path that is not there", "FROM busybox\nRUN mkdir /www\nUSER 65532\nEXPOSE 8080\n" + httpd,
			smoke.Options{HTTP: "/healthz", Timeout: time.Second},
			map[string]string{"starts": "failed answered 404"},
		},
		{
			"nothing but a static program", "FROM scratch\nCOPY --chmod=755 server /server\nUSER 65532:65532\nENTRYPOINT [\"/server\", \"9090\"]",
			smoke.Options{HTTP: ":9090/healthz"},
			map[string]string{
				"starts": "passed :9090/healthz answered 200", "user": "passed user 65532", "writes": "passed nothing", "stops": "passed stops within",
			},
		},
		{
			"runs as root", "FROM scratch\nCOPY --chmod=755 server /server\nEXPOSE 9091\nENTRYPOINT [\"/server\", \"9091\"]",
			smoke.Options{},
			map[string]string{"starts": "passed port 9091", "user": "failed runs as root (server)", "stops": "passed"},
		},
		{
			"ignores SIGTERM", "FROM busybox\nUSER nobody\nCMD [\"sh\", \"-c\", \"trap '' TERM; echo up; while :; do sleep 1; done\"]",
			smoke.Options{Log: "up"},
			map[string]string{"starts": `passed wrote "up"`, "user": "passed user 65534", "stops": "failed does not stop within 1s of SIGTERM"},
		},
		{
			"writes outside of volumes", "FROM busybox\nVOLUME /vol\nRUN mkdir /data && chmod 777 /data && mkdir -p /vol && chmod 777 /vol\nUSER nobody\n" +
				"CMD [\"sh\", \"-c\", \"echo 1 >/data/cache.db; echo 2 >/vol/fine; echo 3 >/tmp/gone; rm /tmp/gone; echo up; exec sleep 60\"]",
			smoke.Options{Log: "up", ReadOnly: true},
			map[string]string{"writes": "failed data/cache.db, tmp/", "user": "passed"},
		},
		{
			"the same is told where that is fine", "FROM busybox\nRUN mkdir /data && chmod 777 /data\nUSER nobody\nCMD [\"sh\", \"-c\", \"echo 1 >/data/cache.db; exec sleep 60\"]",
			smoke.Options{},
			map[string]string{"starts": "passed stayed for 1s", "writes": "passed writes to data/cache.db"},
		},
		{
			"its health check", "FROM busybox\nUSER nobody\nENV WELL=well\nWORKDIR /tmp\nHEALTHCHECK CMD test \"$(id -u)\" = 65534 && test -e $WELL\nCMD [\"sh\", \"-c\", \"sleep 0.3; echo >/tmp/well; exec sleep 60\"]",
			smoke.Options{},
			map[string]string{"starts": "passed the health check passed"},
		},
		{
			"a health check that fails", "FROM busybox\nUSER nobody\nHEALTHCHECK CMD echo the database is away; exit 1\nCMD [\"sleep\", \"60\"]",
			smoke.Options{Timeout: time.Second},
			map[string]string{"starts": "failed waited 1s for its health check"},
		},
		{
			"ends at once", "FROM busybox\nUSER nobody\nEXPOSE 80\nCMD [\"sh\", \"-c\", \"echo no database >&2; exit 3\"]",
			smoke.Options{},
			map[string]string{"starts": "failed ended with status 3 before port 80", "user": "skipped", "stops": "skipped"},
		},
		{
			"a job that is done", "FROM busybox\nUSER nobody\nCMD [\"true\"]",
			smoke.Options{},
			map[string]string{"starts": "passed ended by itself with status 0"},
		},
		{
			"a program that is not there", "FROM busybox\nCMD [\"/no/such\"]",
			smoke.Options{},
			map[string]string{"starts": "failed ended with status|could not be run: no such file or directory"},
		},
		{
			"no command", "FROM scratch\nCOPY unique /\n",
			smoke.Options{},
			map[string]string{"starts": "failed neither ENTRYPOINT nor CMD"},
		},
	}
	program, err := tool()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			o := test.options
			o.Tool, o.Grace = program, time.Second
			if o.Timeout == 0 {
				o.Timeout = 30 * time.Second
			}
			var out logs
			got, err := smoke.Run(t.Context(), b, image(t, test.text), o, &out)
			if err != nil {
				t.Fatalf("%v\n%s", err, out.String())
			}
			checks := map[string]string{}
			for _, c := range got.Checks {
				checks[c.Name] = string(c.State) + " " + c.Text
			}
			for name, want := range test.want {
				state, text, _ := strings.Cut(want, " ")
				has := checks[name]
				contains := func(text string) bool { return strings.Contains(has, text) }
				if !strings.HasPrefix(has, state) || !slices.ContainsFunc(strings.Split(text, "|"), contains) {
					t.Errorf("%s: %q, want %q\n%s", name, has, want, out.String())
				}
			}
			t.Logf("%+v, logs %q", got, out.String())
		})
	}
}

// TestCancelled: what runs on the builder ends with the test.
func TestCancelled(t *testing.T) { cancelled(t, connect(t)) }

// TestCancelledEngine is that in a Docker Engine.
func TestCancelledEngine(t *testing.T) { cancelled(t, connectEngine(t, lab.OwnEngine(t))) }

func cancelled(t *testing.T, b *buildkit.Builder) {
	program, err := tool()
	if err != nil {
		t.Fatal(err)
	}
	mark := rand.Text()
	build := image(t, "FROM busybox\nCMD [\"sh\", \"-c\", \"echo up; trap '' TERM; : "+mark+"; while :; do sleep 1; done\"]")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	up := &seen{text: "up", found: cancel}
	_, err = smoke.Run(ctx, b, build, smoke.Options{Tool: program, HTTP: "/", Timeout: time.Minute, Grace: time.Minute}, up)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	for deadline := time.Now().Add(30 * time.Second); running(t, mark); {
		if time.Now().After(deadline) {
			t.Fatal("the program still runs")
		}
		<-time.After(50 * time.Millisecond)
	}
}

// seen calls found once a text was written.
type seen struct {
	mu    sync.Mutex
	all   []byte
	text  string
	found func()
}

func (s *seen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, p...)
	if bytes.Contains(s.all, []byte(s.text)) {
		s.found()
	}
	return len(p), nil
}

// running looks for a process with the mark among its arguments.
func running(t *testing.T, mark string) bool {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if data, err := os.ReadFile(name); err == nil && bytes.Contains(data, []byte(mark)) {
			return true
		}
	}
	return false
}

func TestTool(t *testing.T) {
	script := filepath.Join(t.TempDir(), "stoker")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := smoke.Run(t.Context(), nil, buildkit.Request{}, smoke.Options{Tool: script}, nil); !errors.Is(err, smoke.ErrTool) {
		t.Errorf("got %v", err)
	}
}

// TestNotRun: what cannot be run is told in words.
func TestNotRun(t *testing.T) {
	b := connect(t)
	program, err := tool()
	if err != nil {
		t.Fatal(err)
	}
	empty := image(t, "FROM scratch\n")
	other := image(t, "FROM scratch\nCOPY unique /\nCMD [\"/unique\"]\n")
	other.Definition.Platforms = []string{"linux/s390x"}
	for want, build := range map[string]buildkit.Request{"the image is empty": empty, "the image is for another platform than the builder's linux/": other} {
		_, err := smoke.Run(t.Context(), b, build, smoke.Options{Tool: program, Timeout: time.Second, Grace: time.Second}, &logs{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
