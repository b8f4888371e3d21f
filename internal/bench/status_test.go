package bench_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stokerd/stoker/internal/lab"
)

// The size of the repository that the daemon watches.
const (
	files     = 50_000
	perFolder = 12
)

// idle is how long the daemon's processor time is measured while nothing changes.
const idle = 30 * time.Second

// settle is how long the daemon may take for its work after the first picture, before
// that.
const settle = 20 * time.Second

// BenchmarkStatus measures `stoker status --json` with a daemon that watches 50,000
// files, and for comparison `git status` in the same repository and `buildx ls`. It also
// reports the daemon's memory, and its processor time while nothing happens.
func BenchmarkStatus(b *testing.B) {
	user := newUser(b)
	root := repository(b)
	user.run(b, root, user.stoker, "up")
	pid := user.daemon(b)
	b.Cleanup(func() { user.run(b, root, user.stoker, "down", "--all") })
	<-time.After(settle)
	before := ticks(b, pid)
	<-time.After(idle) // nothing happens in this time
	spent := ticks(b, pid) - before

	b.Run("stoker-status", func(b *testing.B) {
		for b.Loop() {
			user.run(b, root, user.stoker, "status", "--json")
		}
	})
	b.Run("git-status", func(b *testing.B) {
		for b.Loop() {
			user.run(b, root, "git", "status", "--porcelain")
		}
	})
	b.Run("buildx-ls", func(b *testing.B) {
		buildx, err := lab.Buildx(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			user.run(b, root, buildx, "ls")
		}
	})
	b.Run("daemon", func(b *testing.B) {
		for b.Loop() { // nothing is timed
		}
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(float64(spent), "idle-ticks/30s")
		b.ReportMetric(residentMB(b, pid), "MB-resident")
	})
}

// A user has a home of their own, and no builder.
type user struct {
	stoker string // path of the program
	env    []string
}

// newUser compiles stoker for a new user.
func newUser(b *testing.B) user {
	b.Helper()
	home := b.TempDir()
	u := user{stoker: filepath.Join(home, "stoker")}
	build := exec.Command("go", "build", "-o", u.stoker, "github.com/stokerd/stoker/cmd/stoker")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("build stoker: %v\n%s", err, out)
	}
	runtimeDir := filepath.Join(home, "run")
	if err := os.Mkdir(runtimeDir, 0o700); err != nil {
		b.Fatal(err)
	}
	u.env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "XDG_RUNTIME_DIR=" + runtimeDir,
		"XDG_STATE_HOME=" + filepath.Join(home, "state"), "XDG_CONFIG_HOME=" + filepath.Join(home, "config"),
	}
	return u
}

// run runs a command in a folder and returns what it writes to stdout. It fails the
// benchmark if the command fails.
func (u user) run(b *testing.B, dir, name string, args ...string) []byte {
	b.Helper()
	out, _ := u.ended(b, dir, name, args...)
	return out
}

// ended is run, and returns also how the command ended.
func (u user) ended(b *testing.B, dir, name string, args ...string) ([]byte, *os.ProcessState) {
	b.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(b.Context()), name, args...)
	cmd.Dir, cmd.Env = dir, u.env
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		b.Fatalf("%s %v: %v\n%s", name, args, err, stderr.Bytes())
	}
	return stdout.Bytes(), cmd.ProcessState
}

// daemon returns the process id of the daemon, which must run.
func (u user) daemon(b *testing.B) int {
	b.Helper()
	out := string(u.run(b, "/", u.stoker, "status", "--json"))
	_, rest, _ := strings.Cut(out, `"pid":`)
	digits := strings.TrimSpace(rest)
	end := strings.IndexFunc(digits, func(r rune) bool { return r < '0' || r > '9' })
	pid, err := strconv.Atoi(digits[:max(end, 0)])
	if err != nil {
		b.Fatalf("no process id in %.200s", out)
	}
	return pid
}

// repository makes a repository with the files, and commits them.
func repository(b *testing.B) string {
	b.Helper()
	root := b.TempDir()
	write := func(name, content string) {
		if err := os.WriteFile(filepath.Join(root, name), []byte(content), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	write("Dockerfile", "FROM scratch\nCOPY . /\n")
	write(".dockerignore", ".git\n*.log\n**/*.tmp\n")
	for i := range files {
		dir := fmt.Sprintf("pkg%02d/mod%03d", i/perFolder/100, i/perFolder%100)
		if i%perFolder == 0 {
			if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
				b.Fatal(err)
			}
		}
		write(fmt.Sprintf("%s/source%02d.go", dir, i%perFolder), "package mod\n\n// "+strconv.Itoa(i)+"\n")
	}
	for _, args := range [][]string{{"init", "-q"}, {"add", "."}, {"-c", "user.name=b", "-c", "user.email=b@example.com", "commit", "-q", "-m", "all"}} {
		cmd := exec.Command("git", args...)
		cmd.Dir = root
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	return root
}

// ticks returns the processor time that a process has used, in clock ticks.
func ticks(b *testing.B, pid int) int64 {
	b.Helper()
	fields := procFields(b, pid)
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	if err1 != nil || err2 != nil {
		b.Fatalf("processor time of %d: %v, %v", pid, err1, err2)
	}
	return user + system
}

// residentMB returns the resident memory of a process, in units of 1,000,000 bytes.
func residentMB(b *testing.B, pid int) float64 {
	b.Helper()
	pages, err := strconv.ParseInt(procFields(b, pid)[21], 10, 64)
	if err != nil {
		b.Fatalf("memory of %d: %v", pid, err)
	}
	return float64(pages) * float64(os.Getpagesize()) / 1e6
}

// procFields returns the fields of /proc/PID/stat that follow the name of the process
// (proc_pid_stat(5)). The first one, with the index 0, is the state.
func procFields(b *testing.B, pid int) []string {
	b.Helper()
	if runtime.GOOS != "linux" {
		b.Skip("processor time and memory are read from /proc")
	}
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(data), ") ")
	return strings.Fields(rest)
}
