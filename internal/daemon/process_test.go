package daemon_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stokerd/stoker/cache/buildkit"
	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/client"
	"github.com/stokerd/stoker/internal/daemon"
	"github.com/stokerd/stoker/internal/ipc"
)

// envHome is set for the test's program to run as a daemon: see TestMain. Its value is the
// folder that has the user's folders.
const envHome = "STOKER_TEST_DAEMON_HOME"

// processVersion is the version of a daemon in a process and of its clients.
var processVersion = api.Version{Version: "test", Build: "test", Level: api.Level}

// daemonEnv returns the environment of a daemon that runs in its own process.
func daemonEnv(home string) func(string) string {
	return func(name string) string {
		switch name {
		case "XDG_RUNTIME_DIR":
			return filepath.Join(home, "run")
		case "XDG_STATE_HOME":
			return filepath.Join(home, "state")
		case "HOME":
			return home
		case "BUILDKIT_HOST", "DOCKER_HOST":
			return os.Getenv(name)
		}
		return ""
	}
}

// runProcess runs the daemon of a process, until that gets SIGTERM.
func runProcess(home string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	getenv := daemonEnv(home)
	paths, err := ipc.Locate(getenv)
	if err != nil {
		return err
	}
	version := processVersion
	version.PID = os.Getpid()
	return daemon.Run(ctx, daemon.Options{
		Paths: paths, Version: version, Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
		Builder: buildkit.Env{Getenv: getenv, Home: home, OS: "windows", UID: os.Getuid()},
	})
}

// A process is a daemon in a process of its own, which can be killed and started again.
type process struct {
	running
	home    string    // has the user's folders
	builder []string  // variables of the environment that name the builder
	cmd     *exec.Cmd // nil while it does not run
	log     *logbook
}

// startProcess starts a daemon that finds a BuildKit at address.
func startProcess(t *testing.T, address string) *process {
	t.Helper()
	return startProcessOn(t, "BUILDKIT_HOST="+address, "DOCKER_HOST=")
}

// startEngineProcess starts a daemon that finds a Docker Engine at address.
func startEngineProcess(t *testing.T, address string) *process {
	t.Helper()
	return startProcessOn(t, "BUILDKIT_HOST=", "DOCKER_HOST="+address)
}

// startProcessOn starts a daemon with the given variables in its environment. It is stopped
// at the end of the test, and its log is shown if that failed.
func startProcessOn(t *testing.T, builder ...string) *process {
	t.Helper()
	p := &process{running: running{t: t}, home: t.TempDir(), builder: builder, log: &logbook{}}
	if err := os.MkdirAll(filepath.Join(p.home, "run"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.stop(false)
		if t.Failed() {
			t.Log(string(p.log.text()))
		}
	})
	p.start()
	return p
}

// start starts the process, and waits until the daemon is connected to its builder.
func (p *process) start() {
	p.t.Helper()
	paths, err := ipc.Locate(daemonEnv(p.home))
	if err != nil {
		p.t.Fatal(err)
	}
	p.paths = paths
	p.cmd = exec.Command(os.Args[0])
	p.cmd.Env = append(append(os.Environ(), envHome+"="+p.home), p.builder...)
	p.cmd.Stderr = p.log
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for p.Client == nil {
		c, err := client.Connect(p.t.Context(), paths, processVersion)
		if err == nil {
			p.Client = c
			break
		}
		select {
		case <-tick.C:
		case <-deadline:
			p.t.Fatalf("the daemon did not start: %v\n%s", err, p.log.text())
		}
	}
	p.connected()
}

// stop ends the process, without time to clean up if kill is true, and waits for its end.
func (p *process) stop(kill bool) {
	p.t.Helper()
	if p.cmd == nil {
		return
	}
	if p.Client != nil {
		p.Close()
	}
	how := syscall.SIGTERM
	if kill {
		how = syscall.SIGKILL
	}
	if err := p.cmd.Process.Signal(how); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Error(err)
	}
	if err := p.cmd.Wait(); err != nil && !kill {
		p.t.Errorf("the daemon ended with %v", err)
	}
	p.cmd, p.Client = nil, nil
}
