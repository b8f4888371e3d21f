package lab

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// The programs of the two tool modules, by package path. buildx is apart because it pins other
// versions of BuildKit's dependencies, and because most tests do without it.
var (
	serverPackages = []string{
		"github.com/moby/buildkit/cmd/buildkitd",
		"github.com/moby/buildkit/cmd/buildctl",
		"github.com/moby/buildkit/frontend/dockerfile/cmd/dockerfile-frontend",
	}
	buildxPackages = []string{"github.com/docker/buildx/cmd/buildx"}
)

// tools returns the directory with buildkitd, buildctl and dockerfile-frontend.
func tools(ctx context.Context, log *slog.Logger) (string, error) {
	return build(ctx, log, "tools", serverPackages)
}

// Buildctl returns the path of buildctl, compiled first where this machine does not have it yet.
func Buildctl(ctx context.Context) (string, error) {
	dir, err := tools(ctx, slog.New(slog.DiscardHandler))
	return filepath.Join(dir, "buildctl"), err
}

// Buildx returns the path of buildx, compiled first where this machine does not have it yet, which
// takes some minutes. As ~/.docker/cli-plugins/docker-buildx it is `docker buildx`.
func Buildx(ctx context.Context) (string, error) {
	dir, err := build(ctx, slog.New(slog.DiscardHandler), filepath.Join("tools", "buildx"), buildxPackages)
	return filepath.Join(dir, "buildx"), err
}

// build compiles packages in the tool module at internal/lab/<module> and returns the directory
// with the programs. They are kept per user and per content of the module's go.mod, so one build
// serves every later lab; a lock makes parallel test processes wait for one build.
func build(ctx context.Context, log *slog.Logger, module string, packages []string) (string, error) {
	if dir := os.Getenv(EnvBin); dir != "" {
		return dir, haveAll(dir, packages)
	}
	src, err := moduleRoot()
	if err != nil {
		return "", err
	}
	src = filepath.Join(src, "internal", "lab", module)
	dir, err := binDir(src)
	if err != nil {
		return "", err
	}
	if haveAll(dir, packages) == nil {
		return dir, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make the cache of lab programs: %w", err)
	}
	lock := flock.New(filepath.Join(dir, lockName))
	if _, err := lock.TryLockContext(ctx, 200*time.Millisecond); err != nil {
		return "", fmt.Errorf("wait for another build of the lab's programs: %w", err)
	}
	defer func() { _ = lock.Unlock() }()
	if haveAll(dir, packages) == nil {
		return dir, nil
	}
	log.Info("compiling the lab's programs; this takes some minutes, once", "module", src, "into", dir)
	return dir, compile(ctx, src, dir, packages)
}

// compile runs go build beside the final place and renames, so that a build that was cut short
// leaves no half program. CGO is off because the frontend runs in an image without libc, and because
// buildkitd then needs no C compiler.
func compile(ctx context.Context, src, dir string, packages []string) error {
	tmp, err := os.MkdirTemp(dir, "build-")
	if err != nil {
		return fmt.Errorf("make the cache of lab programs: %w", err)
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	args := append([]string{"build", "-ldflags=-s -w", "-o", tmp + string(filepath.Separator)}, packages...)
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = src
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("compile %s in %s: %w\n%s", strings.Join(packages, " "), src, err, out)
	}
	for _, p := range packages {
		name := filepath.Base(p)
		if err := os.Rename(filepath.Join(tmp, name), filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("keep %s: %w", name, err)
		}
	}
	return nil
}

// haveAll is nil if dir holds the program of every package.
func haveAll(dir string, packages []string) error {
	for _, p := range packages {
		if _, err := os.Stat(filepath.Join(dir, filepath.Base(p))); err != nil {
			return fmt.Errorf("find the lab's programs: %w", err)
		}
	}
	return nil
}

// binDir names the directory of a tool module's programs after all that decides their content.
func binDir(src string) (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache of lab programs: %w", err)
	}
	h := sha256.New()
	for _, name := range []string{"go.mod", "go.sum"} {
		b, err := os.ReadFile(filepath.Join(src, name))
		if err != nil {
			return "", fmt.Errorf("read the lab's tool module: %w", err)
		}
		h.Write(b)
	}
	fmt.Fprint(h, runtime.Version(), runtime.GOARCH)
	return filepath.Join(base, "stoker-lab", fmt.Sprintf("%s-%x", filepath.Base(src), h.Sum(nil)[:6])), nil
}

// moduleRoot finds the source of stoker above the working directory, where `go test` and
// `go run` put us: the tool modules are modules of their own, so they cannot be embedded.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the source of stoker: %w", err)
	}
	for {
		b, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && bytes.HasPrefix(b, []byte("module github.com/stokerd/stoker\n")) {
			return dir, nil
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("find the source of stoker: %w", err)
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", fmt.Errorf("find the source of stoker: no go.mod of it above the working directory; run this in a clone, or set %s", EnvBin)
		}
		dir = up
	}
}
