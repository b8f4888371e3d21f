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
	"path"
	"path/filepath"
	"runtime"
	"time"

	"github.com/gofrs/flock"
)

// toolModule is a module of its own that pins programs.
type toolModule struct {
	// dir is its folder, below internal/lab.
	dir string
	// project is the module that the programs come from. Its version is written into them, as its
	// own releases do; without that a server says it is v0.0.0.
	project string
	// programs are main packages.
	programs []string
	// version is the variable with the version.
	version string
}

// servers are what a lab runs.
func servers() toolModule {
	const project = "github.com/moby/buildkit"
	return toolModule{"tools", project, []string{
		project + "/cmd/buildkitd", project + "/cmd/buildctl", project + "/frontend/dockerfile/cmd/dockerfile-frontend",
	}, "version.Version"}
}

// buildx is apart because it pins other versions of BuildKit's dependencies, and because most tests
// do without it.
func buildx() toolModule {
	const project = "github.com/docker/buildx"
	return toolModule{"tools/buildx", project, []string{project + "/cmd/buildx"}, "version.Version"}
}

// engine is apart because only its own tests need it, and because it takes longer to compile than all the others.
func engine() toolModule {
	const project = "github.com/moby/moby/v2"
	return toolModule{"tools/engine", project, []string{
		project + "/cmd/dockerd", "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2",
	}, "dockerversion.Version"}
}

// flags are the linker's, for a version of the project.
func (m toolModule) flags(version string) string {
	return "-s -w -X=" + m.project + "/" + m.version + "=" + version
}

// tools returns the directory with buildkitd, buildctl and dockerfile-frontend.
func tools(ctx context.Context, log *slog.Logger) (string, error) {
	return build(ctx, log, servers())
}

// Buildctl returns the path of buildctl, compiled first where this machine does not have it yet.
func Buildctl(ctx context.Context) (string, error) {
	dir, err := tools(ctx, slog.New(slog.DiscardHandler))
	return filepath.Join(dir, "buildctl"), err
}

// Buildx returns the path of buildx, compiled first where this machine does not have it yet, which
// takes some minutes. As ~/.docker/cli-plugins/docker-buildx it is `docker buildx`.
func Buildx(ctx context.Context) (string, error) {
	dir, err := build(ctx, slog.New(slog.DiscardHandler), buildx())
	return filepath.Join(dir, "buildx"), err
}

// build compiles a module's programs and returns their directory. They are kept per user and per
// all that decides their content, so one build serves every later lab; a lock makes parallel test
// processes wait for one build.
func build(ctx context.Context, log *slog.Logger, m toolModule) (string, error) {
	if dir := os.Getenv(EnvBin); dir != "" {
		return dir, m.inside(dir)
	}
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	src := filepath.Join(root, "internal", "lab", filepath.FromSlash(m.dir))
	dir, err := m.cacheDir(src)
	if err != nil {
		return "", err
	}
	if m.inside(dir) == nil {
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
	if m.inside(dir) == nil {
		return dir, nil
	}
	log.Info("compiling the lab's programs; this takes some minutes, once", "module", src, "into", dir)
	return dir, m.compile(ctx, src, dir)
}

// compile runs go build beside the final place and renames, so that a build that was cut short
// leaves no half program.
func (m toolModule) compile(ctx context.Context, src, dir string) error {
	tmp, err := os.MkdirTemp(dir, "build-")
	if err != nil {
		return fmt.Errorf("make the cache of lab programs: %w", err)
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	version, err := runGo(ctx, src, "list", "-m", "-f", "{{.Version}}", m.project)
	if err != nil {
		return fmt.Errorf("read the version of %s: %w", m.project, err)
	}
	args := []string{"build", "-ldflags=" + m.flags(version), "-o", tmp + string(filepath.Separator)}
	args = append(args, m.programs...)
	if _, err := runGo(ctx, src, args...); err != nil {
		return fmt.Errorf("compile %s %s: %w", m.project, version, err)
	}
	for _, p := range m.programs {
		name := path.Base(p)
		if err := os.Rename(filepath.Join(tmp, name), filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("keep %s: %w", name, err)
		}
	}
	return nil
}

// runGo returns what the go command prints in the tool module at src. CGO is off because the
// frontend runs in an image without libc, and because buildkitd then needs no C compiler.
func runGo(ctx context.Context, src string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = src
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("run go %s in %s: %w\n%s", args[0], src, err, stderr.Bytes())
	}
	return string(bytes.TrimSpace(out)), nil
}

// inside is nil if dir holds every program of the module.
func (m toolModule) inside(dir string) error {
	for _, p := range m.programs {
		if _, err := os.Stat(filepath.Join(dir, path.Base(p))); err != nil {
			return fmt.Errorf("find the lab's programs: %w", err)
		}
	}
	return nil
}

// cacheDir names the directory of the programs after all that decides their content. The version
// of the project is in go.mod.
func (m toolModule) cacheDir(src string) (string, error) {
	h := sha256.New()
	for _, name := range []string{"go.mod", "go.sum"} {
		b, err := os.ReadFile(filepath.Join(src, name))
		if err != nil {
			return "", fmt.Errorf("read the lab's tool module: %w", err)
		}
		h.Write(b)
	}
	fmt.Fprint(h, runtime.Version(), runtime.GOARCH, m.flags(""))
	return userCache(fmt.Sprintf("%s-%x", path.Base(m.dir), h.Sum(nil)[:6]))
}

// userCache is the path of what the lab keeps, for this user, under a name.
func userCache(name ...string) (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the user's cache folder: %w", err)
	}
	return filepath.Join(base, "stoker-lab", filepath.Join(name...)), nil
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
