package buildkit_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/moby/buildkit/client"

	"github.com/stokerd/stoker/cache/buildkit"
	"github.com/stokerd/stoker/internal/lab"
)

// environment is a machine as its user configured it.
type environment struct {
	vars  map[string]string
	files map[string]string // below the home directory
}

func (e environment) make(t *testing.T) buildkit.Env {
	t.Helper()
	env := emptyEnv(t)
	env.Getenv = func(name string) string { return e.vars[name] }
	for name, text := range e.files {
		path := filepath.Join(env.Home, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return env
}

func digestOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// TestDiscover has the lab's BuildKit in one place of a faked machine, and
// asks where it was found. ADDR is its address.
func TestDiscover(t *testing.T) {
	contextMeta := `{"Name":"far","Endpoints":{"docker":{"Host":"ADDR","SkipTLSVerify":false}}}`
	for _, test := range []struct {
		name     string
		explicit string
		env      environment
		want     string // kind and name of what was found
	}{
		{name: "address", explicit: "ADDR", want: "buildkit ADDR"},
		{name: "DOCKER_HOST", env: environment{vars: map[string]string{"DOCKER_HOST": "ADDR"}}, want: "docker docker"},
		{
			name: "docker context",
			env: environment{files: map[string]string{
				".docker/config.json": `{"currentContext":"far"}`,
				".docker/contexts/meta/" + digestOf("far") + "/meta.json": contextMeta,
			}},
			want: "docker far",
		},
		{
			name: "DOCKER_CONTEXT beats the configured one",
			env: environment{
				vars: map[string]string{"DOCKER_CONTEXT": "far"},
				files: map[string]string{
					".docker/config.json": `{"currentContext":"gone"}`,
					".docker/contexts/meta/" + digestOf("far") + "/meta.json": contextMeta,
				},
			},
			want: "docker far",
		},
		{
			name: "buildx use",
			env: environment{files: map[string]string{
				".docker/buildx/current":      `{"Key":"unix:///var/run/docker.sock","Name":"ci","Global":false}`,
				".docker/buildx/instances/ci": `{"Name":"ci","Driver":"remote","Nodes":[{"Name":"ci0","Endpoint":"ADDR"}]}`,
			}},
			want: "remote ci",
		},
		{
			name: "buildx use --default",
			env: environment{files: map[string]string{
				".docker/buildx/defaults/" + digestOf("unix:///var/run/docker.sock"): "ci",
				".docker/buildx/instances/ci":                                        `{"Name":"ci","Driver":"remote","Nodes":[{"Name":"ci0","Endpoint":"ADDR"}]}`,
			}},
			want: "remote ci",
		},
		{
			name: "BUILDX_CONFIG and BUILDX_BUILDER",
			env: environment{
				vars:  map[string]string{"BUILDX_CONFIG": "HOME/x", "BUILDX_BUILDER": "ci"},
				files: map[string]string{"x/instances/ci": `{"Name":"ci","Driver":"remote","Nodes":[{"Name":"ci0","Endpoint":"ADDR"}]}`},
			},
			want: "remote ci",
		},
		{
			name:     "named buildx builder, one node of two answers",
			explicit: "buildx:ci",
			env: environment{files: map[string]string{
				".docker/buildx/instances/ci": `{"Name":"ci","Driver":"remote","Nodes":[{"Name":"a","Endpoint":"unix:///none"},{"Name":"b","Endpoint":"ADDR"}]}`,
			}},
			want: "remote ci/b",
		},
		{name: "BUILDKIT_HOST", env: environment{vars: map[string]string{"BUILDKIT_HOST": "ADDR"}}, want: "buildkit ADDR"},
	} {
		t.Run(test.name, func(t *testing.T) {
			address := lab.For(t).Address()
			for name, text := range test.env.files {
				test.env.files[name] = strings.ReplaceAll(text, "ADDR", address)
			}
			env := test.env.make(t)
			vars := map[string]string{}
			for name, text := range test.env.vars {
				vars[name] = strings.NewReplacer("ADDR", address, "HOME", env.Home).Replace(text)
			}
			env.Getenv = func(name string) string { return vars[name] }
			d, err := buildkit.Discover(t.Context(), env, strings.ReplaceAll(test.explicit, "ADDR", address))
			if err != nil {
				t.Fatal(err)
			}
			if len(d.Builders) != 1 {
				t.Fatalf("%d builders; %s", len(d.Builders), d.Problem())
			}
			defer d.Builders[0].Close()
			info := d.Builders[0].Info()
			if got, want := info.Kind+" "+info.Name, strings.ReplaceAll(test.want, "ADDR", address); got != want {
				t.Errorf("found %q, want %q", got, want)
			}
			if info.Version == "" || len(info.Workers) == 0 || len(info.Platforms) == 0 || info.Address != address {
				t.Errorf("info %+v: want a version, workers, platforms and the address %s", info, address)
			}
			if d.Problem() != "" || d.Hint() != "" {
				t.Errorf("a problem although it was found: %s; %s", d.Problem(), d.Hint())
			}
		})
	}
}

func TestDiscoverNothing(t *testing.T) {
	for _, test := range []struct {
		name, explicit string
		env            environment
		problem, hint  string
		socket         string // worth waiting for
	}{
		{
			name: "explicit address", explicit: "unix:///none/a.sock",
			problem: "no builder answers: tried unix:///none/a.sock (nothing is there)", hint: "start Docker", socket: "/none/a.sock",
		},
		{
			name: "DOCKER_HOST", explicit: "docker", env: environment{vars: map[string]string{"DOCKER_HOST": "unix:///none/d.sock"}},
			problem: "no builder answers: tried DOCKER_HOST (nothing is there)", hint: "start Docker", socket: "/none/d.sock",
		},
		{
			name: "unknown context", explicit: "docker", env: environment{vars: map[string]string{"DOCKER_CONTEXT": "gone"}},
			problem: "no builder answers: tried docker context gone (docker knows no such context)", hint: "start Docker",
		},
		{
			name: "unknown buildx builder", explicit: "buildx:gone",
			problem: "no builder answers: tried buildx builder gone (buildx knows no such builder)", hint: "start Docker",
		},
		{
			name: "name with a path", explicit: "buildx:../config",
			problem: "no builder answers: tried buildx builder ../config (buildx knows no such builder)", hint: "start Docker",
		},
		{
			name: "refused", explicit: "tcp://127.0.0.1:1",
			problem: "no builder answers: tried tcp://127.0.0.1:1 (connection refused)", hint: "start Docker",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			d, err := buildkit.Discover(t.Context(), test.env.make(t), test.explicit)
			if err != nil {
				t.Fatal(err)
			}
			if len(d.Builders) > 0 || d.Problem() != test.problem || !strings.HasPrefix(d.Hint(), test.hint) {
				t.Errorf("%d builders, problem %q, hint %q", len(d.Builders), d.Problem(), d.Hint())
			}
			if got := strings.Join(d.Sockets, " "); got != test.socket {
				t.Errorf("sockets %q, want %q", got, test.socket)
			}
		})
	}
}

func TestDiscoverBadValue(t *testing.T) {
	for _, explicit := range []string{"ci", "ftp://x", "unix://", "tcp://user:" + canary + "@"} {
		_, err := buildkit.Discover(t.Context(), emptyEnv(t), explicit)
		if err == nil && !strings.HasPrefix(explicit, "tcp") {
			t.Errorf("%q is taken for a builder", explicit)
		}
		if err != nil && strings.Contains(err.Error(), canary) {
			t.Errorf("the error shows a password: %v", err)
		}
	}
}

// An engine that does not speak gRPC on its socket is reached by hijacking
// connections, and whole builds work that way, files sent included.
func TestHijack(t *testing.T) {
	socket := fakeEngine(t, lab.For(t).Address())
	env := environment{vars: map[string]string{"DOCKER_HOST": "unix://" + socket}}.make(t)
	d, err := buildkit.Discover(t.Context(), env, "docker")
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Builders) != 1 {
		t.Fatal(d.Problem())
	}
	b := d.Builders[0]
	defer b.Close()
	dir, definition := project(t, fullFile)
	if err := b.Warm(t.Context(), buildkit.Request{Definition: definition, Dockerfile: []byte(fullFile)}); err != nil {
		t.Fatal(err)
	}
	ref, err := build(t.Context(), t, otherClient(t), dir, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := outcomes(observe(t, b, ref).Record); got != "hit hit hit hit" {
		t.Errorf("the build after warming: %s", got)
	}
}

func TestHijackForbidden(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "proxy.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })}
	go srv.Serve(l)
	defer srv.Close()
	env := environment{vars: map[string]string{"DOCKER_HOST": "unix://" + socket}}.make(t)
	d, err := buildkit.Discover(t.Context(), env, "docker")
	if err != nil || !strings.Contains(d.Problem(), "403 Forbidden") {
		t.Errorf("problem %q, error %v", d.Problem(), err)
	}
}

// fakeEngine serves /grpc and /session as Docker Engines before 29 do, with
// the BuildKit at address behind.
func fakeEngine(t *testing.T, address string) (socket string) {
	t.Helper()
	behind, err := client.New(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	socket = filepath.Join(t.TempDir(), "docker.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	pipe := func(w http.ResponseWriter, proto string, to net.Conn) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			to.Close()
			return
		}
		context.AfterFunc(ctx, func() { conn.Close(); to.Close() })
		fmt.Fprintf(conn, "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", proto)
		wg.Go(func() { io.Copy(to, conn); to.Close() })
		io.Copy(conn, to)
		conn.Close()
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /grpc", func(w http.ResponseWriter, r *http.Request) {
		to, err := net.Dial("unix", strings.TrimPrefix(address, "unix://"))
		if err != nil || r.Header.Get("Upgrade") != "h2c" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		pipe(w, "h2c", to)
	})
	mux.HandleFunc("POST /session", func(w http.ResponseWriter, r *http.Request) {
		meta := map[string][]string{}
		for k, v := range r.Header {
			if strings.HasPrefix(k, "X-Docker-") {
				meta[k] = v
			}
		}
		to, err := behind.Dialer()(ctx, r.Header.Get("Upgrade"), meta)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		pipe(w, r.Header.Get("Upgrade"), to)
	})
	srv := &http.Server{Handler: mux}
	wg.Go(func() { srv.Serve(l) })
	t.Cleanup(func() {
		cancel()
		srv.Close()
		behind.Close()
		wg.Wait()
	})
	return socket
}
