//go:build unix

package ipc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stokerd/stoker/internal/ipc"
)

// roleEnv makes the test binary run in a role, as another process.
const roleEnv = "STOKER_IPC_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(roleEnv) {
	case "daemon":
		os.Exit(daemon())
	case "mute":
		fmt.Fprintln(os.Stderr, "mute: nothing to say to the parent")
		os.Exit(1)
	case "stranger":
		os.Exit(stranger())
	default:
		os.Exit(m.Run())
	}
}

// daemon is a minimal daemon that answers every connection with its pid.
func daemon() int {
	ready := ipc.Readiness()
	ln, err := serve()
	if err != nil {
		ready.Fail(err)
		return 1
	}
	ready.Done()
	for {
		conn, err := ln.Accept()
		if err != nil {
			return 1
		}
		fmt.Fprint(conn, os.Getpid())
		conn.Close()
	}
}

func serve() (*ipc.Listener, error) {
	p, err := ipc.Locate(os.Getenv)
	if err != nil {
		return nil, err
	}
	lock, err := ipc.Acquire(context.Background(), p)
	if err != nil {
		return nil, err
	}
	return lock.Listen()
}

// stranger dials the socket in its argument, and prints what it receives.
func stranger() int {
	conn, err := net.Dial("unix", os.Args[1])
	if err != nil {
		fmt.Println("dial:", err)
		return 0
	}
	said, _ := io.ReadAll(conn) // it may end in an error; what was received counts
	fmt.Printf("heard %q\n", said)
	return 0
}

// home gives the test, and the processes that it starts, folders of their own.
func home(t *testing.T) ipc.Paths {
	t.Helper()
	dir, err := os.MkdirTemp("", "ipc") // t.TempDir can be too long for a socket
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
	if err := p.Prepare(); err != nil {
		t.Fatal(err)
	}
	return p
}

// spawn starts the test binary in a role.
func spawn(t *testing.T, p ipc.Paths, role string) error {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(roleEnv, role)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	return ipc.Spawn(ctx, ipc.Command{Path: exe, Log: p.Log})
}

// kill kills the holder of the lock with SIGKILL.
func kill(t *testing.T, p ipc.Paths) {
	t.Helper()
	info, held, err := ipc.Holder(p)
	if err != nil || !held || info.PID == os.Getpid() {
		t.Fatalf("holder: %+v, held %t, %v", info, held, err)
	}
	if err := syscall.Kill(info.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := ipc.WaitReleased(context.Background(), p); err != nil {
		t.Fatal(err)
	}
}

// ask connects and returns what the daemon answers.
func ask(t *testing.T, p ipc.Paths) string {
	t.Helper()
	conn, err := ipc.Dial(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	said, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(said)
}

func TestTwentyStartAtOnceAndOneWins(t *testing.T) {
	p := home(t)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(roleEnv, "daemon")
	var (
		mu   sync.Mutex
		errs []error
		wg   sync.WaitGroup
	)
	for range 20 {
		wg.Go(func() {
			err := ipc.Spawn(t.Context(), ipc.Command{Path: exe, Log: p.Log})
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, err)
		})
	}
	wg.Wait()
	t.Cleanup(func() { kill(t, p) })
	won := 0
	for _, err := range errs {
		switch {
		case err == nil:
			won++
		case !errors.Is(err, ipc.ErrRunning):
			t.Errorf("a start that lost: %v, want ErrRunning", err)
		}
	}
	info, held, err := ipc.Holder(p)
	if won != 1 || !held || err != nil {
		t.Fatalf("%d of 20 started; lock held %t, %v", won, held, err)
	}
	if got := ask(t, p); got != fmt.Sprint(info.PID) {
		t.Errorf("pid %s answers, pid %d holds the lock", got, info.PID)
	}
}

func TestKilledThenStartedAgain(t *testing.T) {
	p := home(t)
	if _, err := ipc.Dial(t.Context(), p); !errors.Is(err, ipc.ErrNoDaemon) {
		t.Errorf("Dial before any start: %v, want ErrNoDaemon", err)
	}
	for range 3 {
		if err := spawn(t, p, "daemon"); err != nil {
			t.Fatal(err)
		}
		if err := spawn(t, p, "daemon"); err == nil || !strings.Contains(err.Error(), "already running (pid ") {
			t.Errorf("a second start: %v, want that one is running, with its pid", err)
		}
		ask(t, p)
		kill(t, p)
		if _, err := os.Lstat(p.Socket); err != nil {
			t.Fatalf("want the stale socket of a killed daemon: %v", err)
		}
		if _, err := ipc.Dial(t.Context(), p); !errors.Is(err, ipc.ErrNoDaemon) {
			t.Errorf("Dial of a stale socket: %v, want ErrNoDaemon", err)
		}
	}
}

func TestSpawnReportsWhatTheChildLogged(t *testing.T) {
	p := home(t)
	if err := os.WriteFile(p.Log, []byte("of an earlier day\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := spawn(t, p, "mute")
	if err == nil || !strings.Contains(err.Error(), "nothing to say") || strings.Contains(err.Error(), "earlier day") {
		t.Errorf("Spawn: %v, want what the child logged, and nothing older", err)
	}
}

func TestDeletedSocketIsPutBack(t *testing.T) {
	p := home(t)
	lock, err := ipc.Acquire(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := lock.Listen()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				done <- err
				return
			}
			conn.Close()
		}
	}()
	ask(t, p)
	if err := os.RemoveAll(p.Runtime); err != nil {
		t.Fatal(err)
	}
	if _, err := ipc.Dial(t.Context(), p); !errors.Is(err, ipc.ErrNotReady) {
		t.Errorf("Dial while the socket is gone: %v, want ErrNotReady", err)
	}
	if err := ipc.Restore(ln); err != nil {
		t.Fatal(err)
	}
	ask(t, p)
	before, _ := os.Lstat(p.Socket)
	if err := ipc.Restore(ln); err != nil {
		t.Fatal(err)
	}
	if after, err := os.Lstat(p.Socket); err != nil || !os.SameFile(before, after) {
		t.Errorf("restore replaced a socket that was there (%v)", err)
	}
	if err := errors.Join(ln.Close(), ln.Close(), lock.Release()); err != nil {
		t.Error(err)
	}
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept after Close: %v, want net.ErrClosed", err)
	}
	if _, err := os.Lstat(p.Socket); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Close left the socket: %v", err)
	}
	if _, err := ipc.Dial(t.Context(), p); !errors.Is(err, ipc.ErrNoDaemon) {
		t.Errorf("Dial after Release: %v, want ErrNoDaemon", err)
	}
}

// TestGuardPutsTheSocketBack waits for the guard itself, in another process.
func TestGuardPutsTheSocketBack(t *testing.T) {
	p := home(t)
	if err := spawn(t, p, "daemon"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { kill(t, p) })
	if err := os.Remove(p.Socket); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*ipc.GuardInterval)
	defer cancel()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for {
		conn, err := ipc.Dial(ctx, p)
		if err == nil {
			conn.Close()
			return
		}
		if !errors.Is(err, ipc.ErrNotReady) {
			t.Fatalf("Dial: %v", err)
		}
		<-poll.C
	}
}

// TestOtherRuntimeFolder finds a daemon from a shell without the XDG_RUNTIME_DIR
// under which it was started.
func TestOtherRuntimeFolder(t *testing.T) {
	p := home(t)
	if err := spawn(t, p, "daemon"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { kill(t, p) })
	t.Setenv("XDG_RUNTIME_DIR", "")
	t.Setenv("TMPDIR", filepath.Dir(p.State))
	other, err := ipc.Locate(os.Getenv)
	if err != nil || other.Socket == p.Socket {
		t.Fatalf("Locate without XDG_RUNTIME_DIR: socket %s, %v; want another one than %s", other.Socket, err, p.Socket)
	}
	ask(t, other)
	if _, err := ipc.Acquire(t.Context(), other); !errors.Is(err, ipc.ErrRunning) {
		t.Errorf("a second daemon beside the first: %v, want ErrRunning", err)
	}
}

func TestPermissions(t *testing.T) {
	p := home(t)
	if err := spawn(t, p, "daemon"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { kill(t, p) })
	for path, want := range map[string]os.FileMode{
		p.Runtime: 0o700, p.State: 0o700, p.Socket: 0o600, p.Lock: 0o600, p.Log: 0o600,
	} {
		info, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %o, want %o", path, info.Mode().Perm(), want)
		}
	}
}

func TestFoldersThatAreNotPrivateAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(dir string) error
		want  string
	}{
		"open":    {func(dir string) error { return os.Chmod(dir, 0o755) }, "chmod 700"},
		"a link":  {func(dir string) error { return errors.Join(os.Remove(dir), os.Symlink("/", dir)) }, "symbolic link"},
		"foreign": {func(dir string) error { return os.Chown(dir, 65534, 65534) }, "belongs to uid 65534"},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "foreign" && os.Getuid() != 0 {
				t.Skip("giving a folder away takes root")
			}
			p := home(t)
			if err := c.spoil(p.Runtime); err != nil {
				t.Fatal(err)
			}
			if _, err := ipc.Acquire(t.Context(), p); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Acquire: %v, want %q", err, c.want)
			}
		})
	}
}

// TestStrangerIsNotAnswered lifts all permissions, so that only the check of the
// peer keeps another user out.
func TestStrangerIsNotAnswered(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("becoming another user takes root")
	}
	p := home(t)
	if err := spawn(t, p, "daemon"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { kill(t, p) })
	dir := filepath.Dir(filepath.Dir(p.Runtime))
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(exe)
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "stranger")
	if err := os.WriteFile(program, raw, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, open := range []string{dir, filepath.Dir(p.Runtime), p.Runtime, p.Socket, program} {
		if err := os.Chmod(open, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(program, p.Socket)
	cmd.Env = append(os.Environ(), roleEnv+"=stranger")
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err != nil || string(out) != "heard \"\"\n" {
		t.Errorf("the other user %s (%v), want it to hear nothing", out, err)
	}
}
