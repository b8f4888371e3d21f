package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// realImage is a Debian system with some packages, under the names that it takes over. The versions
// are Debian's (Node 18, Python 3.11), whatever the name says: what matters is that the tools are real.
type realImage struct {
	key      string
	names    []string
	packages string // for debootstrap --include, comma-separated
	goroot   bool   // add a copy of this machine's Go at /usr/local/go
	config   v1.Config
}

// certificates is where Debian keeps the CA bundle. The machine's own goes into every image, so
// that npm, pip, Go and apt work in RUN behind a proxy that ends TLS.
const certificates = "/etc/ssl/certs/ca-certificates.crt"

var realImages = []realImage{
	{key: "debian", names: []string{"debian:bookworm", "debian:bookworm-slim", "debian:12-slim"},
		config: v1.Config{Env: []string{defaultPath}, Cmd: []string{"bash"}}},
	{key: "node", names: []string{"node:20", "node:20-slim"}, packages: "nodejs,npm",
		config: v1.Config{Env: []string{defaultPath, "NODE_EXTRA_CA_CERTS=" + certificates}, Cmd: []string{"node"}}},
	{key: "python", names: []string{"python:3.12", "python:3.12-slim"}, packages: "python3,python3-pip,python3-venv,python-is-python3",
		config: v1.Config{Env: []string{defaultPath, "LANG=C.UTF-8", "PIP_BREAK_SYSTEM_PACKAGES=1", "PIP_CERT=" + certificates}, Cmd: []string{"python3"}}},
	{key: "golang", names: []string{"golang:1.26", "golang:1.26-bookworm"}, packages: "git", goroot: true,
		config: v1.Config{
			Env: []string{"PATH=/go/bin:/usr/local/go/bin:" + strings.TrimPrefix(defaultPath, "PATH="), "GOPATH=/go", "GOTOOLCHAIN=local"},
			Cmd: []string{"bash"}, WorkingDir: "/go",
		}},
}

// PushReal replaces the most used stand-ins by Debian-based images with the real tools. They are
// made by debootstrap once, in about a minute each, and kept in the user's cache folder.
func (l *Lab) PushReal(ctx context.Context) error {
	if _, err := exec.LookPath("debootstrap"); err != nil {
		return errors.New("real images need debootstrap; on Debian or Ubuntu: apt-get install debootstrap")
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return fmt.Errorf("find the cache of real images: %w", err)
	}
	for _, r := range realImages {
		dir := filepath.Join(cache, "stoker-lab", "images", r.key+"-"+runtime.Version())
		img, err := layoutImage(dir)
		if err != nil {
			if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
				return fmt.Errorf("make the cache of real images: %w", err)
			}
			if err := r.make(ctx, dir); err != nil {
				return fmt.Errorf("make the image %s: %w", r.key, err)
			}
			if img, err = layoutImage(dir); err != nil {
				return err
			}
		}
		for _, name := range r.names {
			if _, err := l.Push(ctx, name, img); err != nil {
				return err
			}
		}
	}
	return nil
}

// make bootstraps a system in a temporary directory and keeps it as an OCI layout at dir.
func (r realImage) make(ctx context.Context, dir string) error {
	tmp, err := os.MkdirTemp("", tempPrefix+"image-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	root := filepath.Join(tmp, "rootfs")
	include := "ca-certificates"
	if r.packages != "" {
		include += "," + r.packages
	}
	// debootstrap mounts /proc and /sys below root. In namespaces of its own these go with it, so that
	// a run that was cut short leaves no mount for RemoveAll to walk into.
	if err := command(ctx, "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
		"debootstrap", "--variant=minbase", "--include="+include, "bookworm", root); err != nil {
		return err
	}
	if err := command(ctx, "cp", certificates, filepath.Join(root, certificates)); err != nil {
		return err
	}
	if r.goroot {
		// Not runtime.GOROOT, which is empty in a trimmed build.
		goroot, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
		if err != nil {
			return fmt.Errorf("find GOROOT: %w", err)
		}
		if err := command(ctx, "cp", "-a", string(bytes.TrimSpace(goroot)), filepath.Join(root, "usr/local/go")); err != nil {
			return err
		}
	}
	archive := filepath.Join(tmp, "rootfs.tar")
	if err := command(ctx, "tar", "--sort=name", "--numeric-owner", "--one-file-system", "--exclude=./var/cache/apt/archives/*.deb",
		"--exclude=./dev/*", "-C", root, "-cf", archive, "."); err != nil {
		return err
	}
	rootfs, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return os.Open(archive) })
	if err != nil {
		return err
	}
	img, err := newImage(r.config)
	if err != nil {
		return err
	}
	if img, err = mutate.AppendLayers(img, rootfs); err != nil {
		return err
	}
	return saveLayout(dir, img)
}

// command runs a program and has its output in the error.
func command(ctx context.Context, name string, args ...string) error {
	if out, err := exec.CommandContext(ctx, name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("run %s: %w\n%s", name, err, out[max(0, len(out)-2000):])
	}
	return nil
}
