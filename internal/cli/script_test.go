package cli_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/cli"
	"github.com/stokerd/stoker/internal/client"
	"github.com/stokerd/stoker/internal/ipc"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"stoker": func() {
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
			status := cli.Run(ctx, cli.SystemProcess(), os.Args[1:])
			stop()
			os.Exit(status)
		},
	})
}

var update = flag.Bool("update", false, "rewrite what scenarios compare outputs with")

// TestScripts runs the scenarios in testdata/scripts, in the folder shop, which
// holds a scenario's files. Each has a home, a state and a runtime folder of its
// own, and a user's configuration that names a builder that is not there, so that
// nothing of the machine's shows through.
//
// Commands beside testscript's own:
//
//	status N CMD…     CMD ends with exit status N
//	fifo FILE         makes a FIFO
//	sparse FILE SIZE  makes a file of SIZE bytes that takes no room
//	link TARGET FILE  makes a symbolic link, to what need not be there
//	unreadable DIR    takes away the right to read DIR: start commands with $AS_USER $AS_USER_HOW
//	await PATTERN     waits for a status of the daemon's that, as JSON, matches
//	repository        commits all there is, to a new repository if need be
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("..", "..", "testdata", "scripts"),
		RequireExplicitExec: true,
		UpdateScripts:       *update,
		Setup:               setup,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"status": exitStatus, "fifo": fifo, "sparse": sparse, "link": link, "repository": repository, "unreadable": unreadable,
			"await": await,
		},
	})
}

func setup(e *testscript.Env) error {
	at := func(name string) string { return filepath.Join(e.WorkDir, name) }
	// A socket's path has room for 107 bytes, and work folders are long.
	run, err := os.MkdirTemp("", "stoker")
	if err != nil {
		return err
	}
	e.Defer(func() { _ = os.RemoveAll(run) })
	e.Cd = at("shop")
	for name, dir := range map[string]string{
		"HOME": at("home"), "XDG_CONFIG_HOME": at("home/.config"), "XDG_STATE_HOME": at("home/state"), "XDG_RUNTIME_DIR": run,
		"DOCKER_CONFIG": at("home/.docker"), "BUILDX_CONFIG": at("home/.docker/buildx"), "SHOP": e.Cd,
	} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		e.Setenv(name, dir)
	}
	for _, name := range []string{"DOCKER_HOST", "BUILDKIT_HOST", "BUILDX_BUILDER", "NO_COLOR", "COLUMNS"} {
		e.Setenv(name, "")
	}
	e.Setenv("GORACE", "atexit_sleep_ms=0") // with -race each command would sleep a second before it ends
	e.Defer(func() {
		// A scenario that fails halfway leaves its daemon behind.
		paths, err := ipc.Locate(e.Getenv)
		if err != nil {
			return
		}
		if holder, ok, err := ipc.Holder(paths); err == nil && ok {
			if p, err := os.FindProcess(holder.PID); err == nil {
				_ = p.Kill()
			}
		}
	})
	config := filepath.Join(e.Getenv("XDG_CONFIG_HOME"), "stoker", "config.yaml")
	if err := os.MkdirAll(filepath.Dir(config), 0o700); err != nil {
		return err
	}
	return os.WriteFile(config, []byte("builder: unix://"+at("no-builder.sock")+"\n"), 0o600)
}

func exitStatus(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N CMD…")
	}
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var ended *exec.ExitError
		if !errors.As(err, &ended) {
			ts.Fatalf("%s: %v", strings.Join(args[1:], " "), err)
		}
		got = ended.ExitCode()
	}
	if fmt.Sprint(got) != args[0] {
		ts.Fatalf("%s: exit status %d, want %s", strings.Join(args[1:], " "), got, args[0])
	}
}

// unreadable takes the rights to a folder away, and root's power to ignore that
// from the commands that follow.
func unreadable(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(os.Chmod(ts.MkAbs(args[0]), 0))
	if os.Geteuid() == 0 {
		ts.Setenv("AS_USER", "setpriv")
		ts.Setenv("AS_USER_HOW", "--bounding-set=-dac_override,-dac_read_search")
	} else {
		ts.Setenv("AS_USER", "env")
		ts.Setenv("AS_USER_HOW", "--")
	}
}

// await returns once a status of the daemon's matches, which is told of every
// change. Only a daemon that never shows it makes this wait for long.
func await(ts *testscript.TestScript, _ bool, args []string) {
	pattern, err := regexp.Compile(args[0])
	ts.Check(err)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var paths ipc.Paths
	paths, err = ipc.Locate(ts.Getenv)
	ts.Check(err)
	c, err := client.Connect(ctx, paths, api.Version{Level: api.Level})
	ts.Check(err)
	defer c.Close()
	var last []byte
	found := errors.New("found")
	err = c.Watch(ctx, func(s api.Status) error {
		if last, err = json.Marshal(s); err == nil && pattern.Match(last) {
			return found
		}
		return err
	})
	if !errors.Is(err, found) {
		ts.Fatalf("no status matches %s: %v; the last one was\n%s", args[0], err, last)
	}
}

func fifo(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(syscall.Mkfifo(ts.MkAbs(args[0]), 0o644))
}

func sparse(ts *testscript.TestScript, _ bool, args []string) {
	var size int64
	_, err := fmt.Sscan(args[1], &size)
	ts.Check(err)
	f, err := os.Create(ts.MkAbs(args[0]))
	ts.Check(err)
	ts.Check(f.Truncate(size))
	ts.Check(f.Close())
}

func link(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(os.Symlink(args[0], ts.MkAbs(args[1])))
}

func repository(ts *testscript.TestScript, _ bool, _ []string) {
	for _, args := range [][]string{
		{"init", "-q", "-b", "main"},
		{"add", "-A"},
		{"-c", "user.name=Ada", "-c", "user.email=ada@example.com", "commit", "-q", "-m", "begin"},
	} {
		ts.Check(ts.Exec("git", args...))
	}
}
