package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

const (
	// startLimit is generous for a busy CI machine; a start takes well under a second.
	startLimit = time.Minute
	// stopLimit bounds an orderly stop, which waits for clients that hold a stream open.
	stopLimit = 5 * time.Second
	// pollEvery is short against a start, since each test process waits for one.
	pollEvery = 10 * time.Millisecond
)

// buildkitd is the server's process.
type buildkitd struct {
	cmd *exec.Cmd
	// done is closed when the process has been waited for; err is set before that.
	done chan struct{}
	err  error
}

// config is buildkitd.toml. The snapshotter "auto" is overlayfs, and native where the directory's
// filesystem cannot carry an overlay. networkMode host lets RUN reach package registries
// without a network plugin.
func config(dir, registry string) string {
	q := strconv.Quote
	return fmt.Sprintf(`root = %s

[grpc]
  address = [%s]

[worker.oci]
  enabled = true
  binary = "runc"
  snapshotter = "auto"
  networkMode = "host"

[worker.containerd]
  enabled = false

[registry."docker.io"]
  mirrors = [%[3]s]

[registry."gcr.io"]
  mirrors = [%[3]s]

[registry."ghcr.io"]
  mirrors = [%[3]s]

[registry.%[3]s]
  http = true
`, q(filepath.Join(dir, "root")), q("unix://"+filepath.Join(dir, "buildkitd.sock")), q(registry))
}

// startBuildkitd starts buildkitd below dir and returns when it accepts connections.
func startBuildkitd(ctx context.Context, bins, dir, registry string) (*buildkitd, error) {
	conf := filepath.Join(dir, "buildkitd.toml")
	if err := os.WriteFile(conf, []byte(config(dir, registry)), 0o600); err != nil {
		return nil, fmt.Errorf("write buildkitd's configuration: %w", err)
	}
	tmp := filepath.Join(dir, "tmp")
	if err := os.MkdirAll(tmp, 0o700); err != nil {
		return nil, fmt.Errorf("make buildkitd's temporary directory: %w", err)
	}
	logPath := filepath.Join(dir, "buildkitd.log")
	logFile, err := os.Create(logPath)
	if err != nil {
		return nil, fmt.Errorf("make buildkitd's log: %w", err)
	}
	defer logFile.Close() // the child has its own descriptor
	socket := filepath.Join(dir, "buildkitd.sock")
	_ = os.Remove(socket) // left by a lab that was killed; the directory's lock is ours

	cmd := isolated(filepath.Join(bins, "buildkitd"), "--config", conf)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "TMPDIR="+tmp)
	cmd.Stdout, cmd.Stderr = logFile, logFile
	b := &buildkitd{cmd: cmd, done: make(chan struct{})}
	if err := b.run(); err != nil {
		return nil, fmt.Errorf("start buildkitd: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	if err := b.ready(ctx, bins, socket); err != nil {
		b.stop(true)
		return nil, fmt.Errorf("start buildkitd: %w\n%s", err, tail(logPath))
	}
	return b, nil
}

// run starts the process on a thread that lives as long as the process does: the kernel sends a
// parent-death signal when the *thread* that started the child ends (prctl(2)).
func (b *buildkitd) run() error {
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(b.done)
		if b.err = b.cmd.Start(); b.err != nil {
			started <- b.err
			return
		}
		started <- nil
		b.err = b.cmd.Wait()
	}()
	return <-started
}

// ready returns when buildkitd answers: it listens before its workers are up, and may still fail then.
func (b *buildkitd) ready(ctx context.Context, bins, socket string) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		if conn, err := net.Dial("unix", socket); err == nil {
			conn.Close()
			ask := exec.CommandContext(ctx, filepath.Join(bins, "buildctl"), "--addr", "unix://"+socket, "debug", "workers")
			if ask.Run() == nil {
				return nil
			}
		}
		select {
		case <-tick.C:
		case <-b.done:
			return errors.Join(errors.New("it ended"), b.err)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// stop ends buildkitd and everything in its namespaces, and waits for that. Without kill it first
// gets time to write its databases.
func (b *buildkitd) stop(kill bool) {
	if !kill {
		_ = b.cmd.Process.Signal(syscall.SIGTERM) // fails only if it has ended
		select {
		case <-b.done:
			return
		case <-time.After(stopLimit):
		}
	}
	_ = b.cmd.Process.Kill()
	<-b.done
}

// tail returns the end of a log, where the cause of an early death stands.
func tail(path string) []byte {
	b, err := os.ReadFile(path)
	if err != nil {
		return []byte(err.Error())
	}
	lines := bytes.Split(bytes.TrimSpace(b), []byte("\n"))
	return bytes.Join(lines[max(0, len(lines)-15):], []byte("\n"))
}
