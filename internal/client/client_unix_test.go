//go:build unix

package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/client"
	"github.com/stokerd/stoker/internal/ipc"
	"github.com/stokerd/stoker/internal/server"
)

// roleEnv makes the test binary run as a daemon of the version that is its value. If
// that begins with "!", the daemon fails to start.
const roleEnv = "STOKER_CLIENT_TEST_DAEMON"

func TestMain(m *testing.M) {
	if v := os.Getenv(roleEnv); v != "" {
		os.Exit(daemon(v))
	}
	os.Exit(m.Run())
}

// daemon serves until a client stops it.
func daemon(version string) int {
	ready := ipc.Readiness()
	if strings.HasPrefix(version, "!") {
		ready.Fail(errors.New("the store is on fire"))
		return 1
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	p, err := ipc.Locate(os.Getenv)
	if err != nil {
		ready.Fail(err)
		return 1
	}
	lock, err := ipc.Acquire(ctx, p)
	if err != nil {
		ready.Fail(err)
		return 1
	}
	ln, err := lock.Listen()
	if err != nil {
		ready.Fail(err)
		return 1
	}
	ready.Done()
	s := &server.Server{Backend: &backend{}, Version: self(version), Stop: stop}
	s.Version.PID = os.Getpid()
	if err := errors.Join(s.Serve(ctx, ln), lock.Release()); err != nil {
		return 1
	}
	return 0
}

// self returns the version of a client or daemon. Its build is the same text.
func self(version string) api.Version {
	v := api.Version{Version: version, Build: version, Level: api.Level}
	if strings.HasSuffix(version, "-level2") {
		v.Level = 2
	}
	return v
}

// backend is a fake with fixed answers.
type backend struct {
	server.Answers
	server.Pruner
	server.Statuses
	server.Verifier
	warmed chan struct{} // closed when the context of a Warm has ended
}

func (*backend) Metrics() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("# counted\n")) })
}

func (b *backend) StatusJSON(context.Context) []byte { return []byte(`{"schema":"stoker.status/v1"}`) }

func (b *backend) StatusAfter(ctx context.Context, seq uint64) ([]byte, uint64, error) {
	if seq == 2 {
		return nil, seq, &api.Error{Code: api.Failed, Message: "no more"}
	}
	raw, err := json.Marshal(api.Status{Repositories: []api.Repository{{Sequence: seq}}})
	return raw, seq + 1, err
}

func (b *backend) Up(_ context.Context, req api.UpRequest) (api.Status, error) {
	return api.Status{}, &api.Error{Code: api.BadInput, Message: req.Dir + ": not a folder", Hint: "name another"}
}

func (b *backend) Down(_ context.Context, req api.DownRequest) (api.Done, error) {
	return api.Done{Message: req.Dir}, nil
}

func (b *backend) Allow(_ context.Context, req api.AllowRequest) (api.Done, error) {
	return api.Done{Message: req.Dir}, nil
}

func (b *backend) Warm(ctx context.Context, _ api.WarmRequest, progress func(api.WarmEvent)) error {
	progress(api.WarmEvent{Definition: "api"})
	<-ctx.Done()
	close(b.warmed)
	return ctx.Err()
}

var _ server.Backend = (*backend)(nil)

// home gives the test, and the daemons that it starts, folders of their own.
func home(t *testing.T) ipc.Paths {
	t.Helper()
	dir, err := os.MkdirTemp("", "cl") // t.TempDir can be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Mkdir(filepath.Join(dir, "run"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_RUNTIME_DIR", filepath.Join(dir, "run"))
	t.Setenv("XDG_STATE_HOME", filepath.Join(dir, "state"))
	p, err := ipc.Locate(os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if info, held, _ := ipc.Holder(p); held && info.PID != os.Getpid() {
			_ = syscall.Kill(info.PID, syscall.SIGKILL)
			_ = ipc.WaitReleased(context.Background(), p)
		}
	})
	return p
}

// start connects as a client of a version, and starts daemons of the same.
func start(t *testing.T, p ipc.Paths, version string) (*client.Client, error) {
	t.Helper()
	return startAs(t, p, version, version)
}

// startAs connects as a client of a version, and starts daemons of another.
func startAs(t *testing.T, p ipc.Paths, version, daemons string) (*client.Client, error) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(roleEnv, daemons)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	return client.ConnectOrStart(ctx, p, self(version), ipc.Command{Path: exe, Log: p.Log})
}

// running returns the version of the daemon that c is connected to.
func running(t *testing.T, c *client.Client) api.Version {
	t.Helper()
	v, err := c.Version(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// exit returns the exit status for an error, -1 if that is not an *api.Error.
func exit(err error) int {
	var e *api.Error
	if !errors.As(err, &e) {
		return -1
	}
	_, status := e.Code.Meaning()
	return status
}

func TestNoDaemon(t *testing.T) {
	p := home(t)
	_, err := client.Connect(t.Context(), p, self("v1.0.0"))
	if !errors.Is(err, client.ErrNoDaemon) || exit(err) != 3 {
		t.Errorf("Connect: %v, want ErrNoDaemon and exit status 3", err)
	}
	_, err = new(client.Client).Status(t.Context()) // the zero value
	if !errors.Is(err, client.ErrNoDaemon) {
		t.Errorf("Status: %v, want ErrNoDaemon", err)
	}
}

func TestVersions(t *testing.T) {
	for name, c := range map[string]struct {
		daemon, client string
		stays          bool // the daemon that ran goes on
		err            error
	}{
		"the same":             {"v1.2.0", "v1.2.0", true, nil},
		"older daemon":         {"v1.2.0", "v1.10.0", false, nil},
		"newer daemon":         {"v1.10.0", "v1.2.0", true, client.ErrOtherVersion},
		"newer than a pre":     {"v1.2.0", "v1.2.0-rc.1", true, client.ErrOtherVersion},
		"release by developer": {"v1.2.0", "devel", false, nil},
		"developer by release": {"devel", "v1.2.0", false, nil},
		"two developers":       {"devel-a", "devel-b", false, nil},
		"other level":          {"v1.2.0", "v1.3.0-level2", false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			p := home(t)
			first, err := start(t, p, c.daemon)
			if err != nil {
				t.Fatal(err)
			}
			before := running(t, first)
			second, err := start(t, p, c.client)
			if !errors.Is(err, c.err) || (c.err != nil && exit(err) != 3) {
				t.Fatalf("ConnectOrStart: %v (exit status %d), want %v", err, exit(err), c.err)
			}
			if second == nil {
				second = new(client.Client)
			}
			after := running(t, second)
			if (after.PID == before.PID) != c.stays {
				t.Errorf("daemon %+v, then %+v; want the same one: %v", before, after, c.stays)
			}
			if !c.stays && after.Version != c.client {
				t.Errorf("daemon %s runs, want %s", after.Version, c.client)
			}
		})
	}
}

// TestDaemonThatComesBack starts daemons whose build is never the client's, as happens
// when the client's program is replaced while it runs.
func TestDaemonThatComesBack(t *testing.T) {
	p := home(t)
	_, err := startAs(t, p, "devel-a", "devel-b")
	if !errors.Is(err, client.ErrOtherVersion) || exit(err) != 3 || !strings.Contains(err.Error(), "devel-b, this is devel-a") {
		t.Errorf("ConnectOrStart: %v, want ErrOtherVersion that names both versions", err)
	}
}

func TestConnectAsksForTheLevelOnly(t *testing.T) {
	p := home(t)
	if _, err := start(t, p, "v1.2.0"); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Connect(t.Context(), p, self("v1.3.0")); err != nil {
		t.Errorf("another build: %v", err)
	}
	_, err := client.Connect(t.Context(), p, self("v1.3.0-level2"))
	if !errors.Is(err, client.ErrOtherVersion) {
		t.Errorf("another level: %v, want ErrOtherVersion", err)
	}
}

func TestTwentyClientsGetOneDaemon(t *testing.T) {
	p := home(t)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(roleEnv, "v1.2.0")
	var (
		mu   sync.Mutex
		pids = map[int]int{}
		wg   sync.WaitGroup
	)
	for range 20 {
		wg.Go(func() {
			c, err := client.ConnectOrStart(t.Context(), p, self("v1.2.0"), ipc.Command{Path: exe, Log: p.Log})
			if err != nil {
				t.Error(err)
				return
			}
			v, err := c.Version(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			pids[v.PID]++
		})
	}
	wg.Wait()
	if len(pids) != 1 {
		t.Errorf("clients by pid of their daemon: %v, want one daemon", pids)
	}
}

func TestStartThatFails(t *testing.T) {
	p := home(t)
	_, err := start(t, p, "!v1")
	if err == nil || !strings.Contains(err.Error(), "the store is on fire") {
		t.Errorf("ConnectOrStart: %v, want the daemon's own error", err)
	}
}

// TestStartingDaemonIsWaitedFor connects when the daemon has the lock, but no socket yet.
func TestStartingDaemonIsWaitedFor(t *testing.T) {
	p := home(t)
	lock, err := ipc.Acquire(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan error, 1)
	go func() {
		_, err := client.Connect(t.Context(), p, self("v1.2.0"))
		got <- err
	}()
	ln, err := lock.Listen()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- (&server.Server{Backend: &backend{}, Version: self("v1.2.0")}).Serve(ctx, ln) }()
	if err := <-got; err != nil {
		t.Errorf("Connect: %v", err)
	}
	cancel()
	if err := errors.Join(<-served, lock.Release()); err != nil {
		t.Error(err)
	}
}

// connected returns a client of a server in this process.
func connected(t *testing.T, h http.Handler) *client.Client {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	hs := &http.Server{Handler: h}
	go func() { _ = hs.Serve(ln) }()
	t.Cleanup(func() { _ = hs.Close() })
	return &client.Client{Dial: func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}}
}

func TestRequests(t *testing.T) {
	b := &backend{warmed: make(chan struct{})}
	c := connected(t, (&server.Server{Backend: b, Version: self("v1")}).Handler())
	if raw, err := c.StatusJSON(t.Context()); err != nil || string(raw) != `{"schema":"stoker.status/v1"}` {
		t.Errorf("StatusJSON: %s, %v", raw, err)
	}
	if d, err := c.Down(t.Context(), api.DownRequest{Dir: "/src"}); err != nil || d.Message != "/src" {
		t.Errorf("Down: %v, %v", d, err)
	}
	if d, err := c.Allow(t.Context(), api.AllowRequest{Dir: "/src"}); err != nil || d.Message != "/src" {
		t.Errorf("Allow: %v, %v", d, err)
	}
	_, err := c.Up(t.Context(), api.UpRequest{Dir: "/src"})
	var e *api.Error
	if !errors.As(err, &e) || e.Hint != "name another" || exit(err) != 2 {
		t.Errorf("Up: %v, want the backend's error with its hint", err)
	}
	var seen []uint64
	err = c.Watch(t.Context(), func(s api.Status) error {
		seen = append(seen, s.Repositories[0].Sequence)
		return nil
	})
	if len(seen) != 2 || seen[1] != 1 || exit(err) != 1 {
		t.Errorf("Watch: statuses %v, %v; want [0 1] and the backend's error", seen, err)
	}
}

func TestWarmEndsWithItsContext(t *testing.T) {
	b := &backend{warmed: make(chan struct{})}
	c := connected(t, (&server.Server{Backend: b, Version: self("v1")}).Handler())
	ctx, cancel := context.WithCancel(t.Context())
	err := c.Warm(ctx, api.WarmRequest{}, func(api.WarmEvent) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Warm: %v, want context.Canceled", err)
	}
	<-b.warmed
}

func TestAnswersThatAreCutOff(t *testing.T) {
	c := connected(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(`{"event":{}}` + "\n"))
		if r.URL.Path != "/v1/watch" {
			panic(http.ErrAbortHandler)
		}
	}))
	err := c.Watch(t.Context(), func(api.Status) error { return nil })
	if exit(err) != 3 || !strings.Contains(err.Error(), "cut off") {
		t.Errorf("a stream without its last frame: %v, want that it was cut off, and exit status 3", err)
	}
	if _, err := c.StatusJSON(t.Context()); exit(err) != 3 {
		t.Errorf("a connection that broke: %v, want an error with exit status 3", err)
	}
}
