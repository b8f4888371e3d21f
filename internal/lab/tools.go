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

// toolModule is a Go module below internal/lab that pins the versions of programs.
type toolModule struct {
	// dir is its directory, relative to internal/lab.
	dir string
	// project is the module that the programs come from. Its version is linked into them, as in its
	// own releases: without that, a server says that it is v0.0.0.
	project string
	// programs are the import paths of main packages.
	programs []string
	// version is the variable that holds the version, as package.Name below project.
	version string
}

// servers are the programs that each lab needs.
func servers() toolModule {
	const project = "github.com/moby/buildkit"
	return toolModule{"tools", project, []string{
		project + "/cmd/buildkitd", project + "/cmd/buildctl", project + "/frontend/dockerfile/cmd/dockerfile-frontend",
	}, "version.Version"}
}

// buildx is a module of its own because it pins other versions of BuildKit's dependencies, and because
// most tests do without it.
func buildx() toolModule {
	const project = "github.com/docker/buildx"
	return toolModule{"tools/buildx", project, []string{project + "/cmd/buildx"}, "version.Version"}
}

// engine is a module of its own because only tests of the Docker Engine need it, and because it takes longer to compile
// than all the others.
func engine() toolModule {
	const project = "github.com/moby/moby/v2"
	return toolModule{"tools/engine", project, []string{
		project + "/cmd/dockerd", "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2",
	}, "dockerversion.Version"}
}

// flags returns the linker flags that set the version of the project.
func (m toolModule) flags(version string) string {
	return "-s -w -X=" + m.project + "/" + m.version + "=" + version
}

// tools returns the directory with buildkitd, buildctl and dockerfile-frontend, which it compiles if
// this machine does not have them yet.
func tools(ctx context.Context, log *slog.Logger) (string, error) {
	return build(ctx, log, servers())
}

// Buildctl returns the path of buildctl, which it compiles if this machine does not have it yet.
func Buildctl(ctx context.Context) (string, error) {
	dir, err := tools(ctx, slog.New(slog.DiscardHandler))
	return filepath.Join(dir, "buildctl"), err
}

// Buildx returns the path of buildx. If this machine does not have it yet, Buildx compiles it, which
// takes some minutes. As ~/.docker/cli-plugins/docker-buildx it is `docker buildx`.
func Buildx(ctx context.Context) (string, error) {
	dir, err := build(ctx, slog.New(slog.DiscardHandler), buildx())
	return filepath.Join(dir, "buildx"), err
}

// build returns the directory with the programs of a module, which it compiles if they are not in the
// user's cache. The name of the directory depends on all that the programs are made of, so later labs
// find them there. A lock lets only one of parallel processes compile.
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

// compile builds the programs in a temporary directory and renames them into dir, so that dir never has
// part of one.
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

// runGo runs the go command in the tool module at src and returns what it prints. CGO is off because
// the frontend runs in an image without libc, and because buildkitd then needs no C compiler.
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

// inside returns an error unless dir holds every program of the module.
func (m toolModule) inside(dir string) error {
	for _, p := range m.programs {
		if _, err := os.Stat(filepath.Join(dir, path.Base(p))); err != nil {
			return fmt.Errorf("find the lab's programs: %w", err)
		}
	}
	return nil
}

// cacheDir returns the directory for the compiled programs. Its name has a hash of all that decides
// their content; the version of the project is in go.mod.
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

// userCache returns a path in the lab's part of the user's cache directory.
func userCache(name ...string) (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the user's cache folder: %w", err)
	}
	return filepath.Join(base, "stoker-lab", filepath.Join(name...)), nil
}

// moduleRoot returns the root of stoker's source, in which the working directory of `go test` and
// `go run` is. The tool modules are read from there because other modules cannot be embedded.
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
