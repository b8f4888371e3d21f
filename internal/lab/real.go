package lab

import (
	"context"
	"crypto/sha256"
	"embed"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// recipes are the Dockerfiles of the real images, each on top of the first of debianNames.
//
//go:embed real
var recipes embed.FS

// realImage is an image that is built from a Dockerfile below real/, and pushed under names.
type realImage struct {
	recipe string // the name of the Dockerfile without its extension
	names  []string
	goroot bool // the build context is this machine's GOROOT
}

// realImages is every real image but Debian itself.
func realImages() []realImage {
	return []realImage{
		{recipe: "node", names: []string{"node:20", "node:20-slim", "node:20-bookworm-slim"}},
		{recipe: "node24", names: []string{"node:24", "node:24-slim", "node:24-trixie-slim"}},
		{recipe: "bun", names: []string{"oven/bun:1.3", "oven/bun:1.3-slim"}},
		{recipe: "python", names: []string{"python:3.12", "python:3.12-slim", "python:3.12-slim-bookworm"}},
		{recipe: "golang", names: []string{"golang:1.26", "golang:1.26-bookworm", "golang:1.26-trixie"}, goroot: true},
		{recipe: "nginx", names: []string{"nginx:1.28-alpine-slim"}},
		{recipe: "static", names: []string{"gcr.io/distroless/static-debian13:nonroot"}},
		{recipe: "distroless", names: []string{"gcr.io/distroless/base-debian13:nonroot"}},
	}
}

// chosen returns the real images that have the given names; AllReal chooses all.
func chosen(names []string) ([]realImage, error) {
	all := realImages()
	if slices.Contains(names, AllReal) {
		return all, nil
	}
	var list []realImage
	for _, name := range names {
		i := slices.IndexFunc(all, func(r realImage) bool { return slices.Contains(r.names, name) })
		if i < 0 {
			return nil, fmt.Errorf("there is no real image for %s", name)
		}
		list = append(list, all[i])
	}
	return list, nil
}

// debianNames returns the names under which the bare Debian system is pushed.
func debianNames() []string {
	return []string{"debian:bookworm-slim", "debian:bookworm", "debian:12-slim", "debian:trixie-slim"}
}

// pushReal replaces the stand-ins of names, and of Debian, by real systems. It makes those that are not
// in the user's cache directory.
func (l *Lab) pushReal(ctx context.Context, log *slog.Logger, names []string) error {
	began := time.Now()
	images, err := chosen(names)
	if err != nil {
		return err
	}
	debian, err := debianImage(ctx, log)
	if err != nil {
		return fmt.Errorf("make the image of Debian: %w", err)
	}
	if err := l.pushAs(ctx, debianNames(), debian); err != nil {
		return err
	}
	var missing []realImage
	dirs := map[string]string{} // by recipe
	for _, r := range images {
		dir, err := r.cacheDir(ctx, debian)
		if err != nil {
			return fmt.Errorf("find the image %s: %w", r.names[0], err)
		}
		dirs[r.recipe] = dir
		if _, err := layoutImage(dir); err != nil {
			missing = append(missing, r)
		}
	}
	if len(missing) > 0 {
		if err := makeReal(ctx, log, debian, missing, dirs); err != nil {
			return err
		}
	}
	for _, r := range images {
		img, err := layoutImage(dirs[r.recipe])
		if err != nil {
			return err
		}
		if err := l.pushAs(ctx, r.names, img); err != nil {
			return err
		}
	}
	log.Info("real images are in the registry", "took", time.Since(began).Round(time.Millisecond))
	return nil
}

// makeReal builds images into dirs, which it maps from recipes. It uses a lab of its own, so that the
// cache and the history of the user's lab have only what the user builds.
func makeReal(ctx context.Context, log *slog.Logger, debian v1.Image, images []realImage, dirs map[string]string) error {
	maker, err := Start(ctx, Options{})
	if err != nil {
		return err
	}
	defer func() { _ = maker.Close() }() // the images are not kept in it
	if err := maker.pushAs(ctx, debianNames(), debian); err != nil {
		return err
	}
	for _, r := range images {
		log.Info("making a real image, once", "image", r.names[0], "into", dirs[r.recipe])
		if err := r.make(ctx, maker, dirs[r.recipe]); err != nil {
			return fmt.Errorf("make the image %s: %w", r.names[0], err)
		}
	}
	return nil
}

// pushAs puts an image under several names.
func (l *Lab) pushAs(ctx context.Context, names []string, img v1.Image) error {
	for _, name := range names {
		if _, err := l.Push(ctx, name, img); err != nil {
			return err
		}
	}
	return nil
}

// context returns the directory of the build context: GOROOT for golang, and empty for the others, which
// copy nothing.
func (r realImage) context(ctx context.Context, empty string) (string, error) {
	if !r.goroot {
		return empty, nil
	}
	out, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output() // runtime.GOROOT is empty in a trimmed build
	if err != nil {
		return "", fmt.Errorf("find GOROOT: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// cacheDir returns the directory that keeps the image. Its name has a hash of all that the image is made
// from.
func (r realImage) cacheDir(ctx context.Context, base v1.Image) (string, error) {
	digest, err := base.Digest()
	if err != nil {
		return "", err
	}
	recipe, err := recipes.ReadFile(path.Join("real", r.recipe+".Dockerfile"))
	if err != nil {
		return "", err
	}
	h := sha256.New()
	fmt.Fprint(h, digest, string(recipe))
	if r.goroot {
		out, err := exec.CommandContext(ctx, "go", "version").Output()
		if err != nil {
			return "", fmt.Errorf("ask for Go's version: %w", err)
		}
		h.Write(out)
	}
	return userCache("images", fmt.Sprintf("%s-%x", r.recipe, h.Sum(nil)[:6]))
}

// make builds the image with the buildkitd of maker and writes it as an OCI layout to dir.
func (r realImage) make(ctx context.Context, maker *Lab, dir string) error {
	tmp, err := os.MkdirTemp(filepath.Dir(dir), "make-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	files := filepath.Join(tmp, "recipes")
	if err := os.CopyFS(files, recipes); err != nil {
		return err
	}
	files = filepath.Join(files, "real")
	from, err := r.context(ctx, files)
	if err != nil {
		return err
	}
	buildctl, err := Buildctl(ctx)
	if err != nil {
		return err
	}
	out := filepath.Join(tmp, "image")
	if err := command(ctx, buildctl, "--addr", maker.Address(), "build", "--progress", "plain", "--frontend", "dockerfile.v0",
		"--opt", "filename="+r.recipe+".Dockerfile", "--local", "dockerfile="+files, "--local", "context="+from,
		"--output", "type=oci,tar=false,rewrite-timestamp=true,dest="+out,
		"--opt", fmt.Sprintf("build-arg:SOURCE_DATE_EPOCH=%d", epoch.Unix())); err != nil {
		return err
	}
	err = os.Rename(out, dir)
	if _, other := layoutImage(dir); other == nil {
		return nil // if the rename failed, another lab was first, with the same content
	}
	return err
}

// debianImage returns a Debian system with the settings that this machine needs to reach package
// archives. The system is kept in the user's cache directory. The settings, which may change any day,
// are read anew.
func debianImage(ctx context.Context, log *slog.Logger) (v1.Image, error) {
	dir, err := userCache("images", "debian-bookworm-"+runtime.GOARCH)
	if err != nil {
		return nil, err
	}
	img, err := layoutImage(dir)
	if err != nil {
		log.Info("making a real image, once", "image", "debian:bookworm", "into", dir)
		if err := bootstrap(ctx, dir); err != nil {
			return nil, err
		}
		if img, err = layoutImage(dir); err != nil {
			return nil, err
		}
	}
	machine, err := machineLayer(ctx)
	if err != nil {
		return nil, err
	}
	return mutate.AppendLayers(img, machine)
}

// bootstrap makes a minimal Debian system and writes it as an OCI layout to dir.
func bootstrap(ctx context.Context, dir string) error {
	if _, err := exec.LookPath("debootstrap"); err != nil {
		return errors.New("real images need debootstrap; on Debian or Ubuntu: apt-get install --no-install-recommends debootstrap")
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return fmt.Errorf("make the cache of real images: %w", err)
	}
	tmp, err := os.MkdirTemp("", tempPrefix+"image-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	root, archive := filepath.Join(tmp, "rootfs"), filepath.Join(tmp, "rootfs.tar")
	// debootstrap mounts /proc and /sys below root. In namespaces of its own these go with it, so that
	// a run that was cut short leaves no mount for RemoveAll to walk into.
	if err := command(ctx, "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
		"debootstrap", "--variant=minbase", "--include=ca-certificates", "bookworm", root); err != nil {
		return err
	}
	if err := command(ctx, "tar", "--sort=name", "--numeric-owner", "--one-file-system", "--mtime=@"+fmt.Sprint(epoch.Unix()),
		"--exclude=./var/cache/apt/archives/*.deb", "--exclude=./var/lib/apt/lists/*_*", "--exclude=./var/log/*.log",
		"--exclude=./dev/*", "-C", root, "-cf", archive, "."); err != nil {
		return err
	}
	rootfs, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return os.Open(archive) })
	if err != nil {
		return err
	}
	img, err := newImage(v1.Config{Env: []string{defaultPath}, Cmd: []string{"bash"}}, rootfs)
	if err != nil {
		return err
	}
	return saveLayout(dir, img)
}

// keepNothing configures apt to leave no packages and no indexes behind, which would make an image some
// 80 MB larger. The images that Docker publishes do the same (debuerreotype: docker-clean).
const keepNothing = `Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/archives/partial/*.deb /var/cache/apt/*.bin || true"; };
`

// machineLayer returns a layer with this machine's CA certificates, which may include that of a proxy,
// and with the sources and settings of its apt.
func machineLayer(ctx context.Context) (v1.Layer, error) {
	files := []file{{path: "etc/apt/apt.conf.d/docker-clean", mode: 0o644, content: []byte(keepNothing)}}
	add := func(at string) error {
		content, err := os.ReadFile(at)
		if err != nil {
			return fmt.Errorf("read what this machine's images need: %w", err)
		}
		files = append(files, file{path: strings.TrimPrefix(at, "/"), mode: 0o644, content: content})
		return nil
	}
	// update-ca-certificates, which a RUN apt-get install may start, makes the bundle anew from single files.
	singles, _ := filepath.Glob("/usr/local/share/ca-certificates/*.crt") // the pattern is well formed
	for _, at := range append(singles, "/etc/ssl/certs/ca-certificates.crt") {
		if err := add(at); err != nil {
			return nil, err
		}
	}
	for _, at := range []string{"/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list"} {
		content, err := os.ReadFile(at)
		if err != nil || !strings.Contains(string(content), "bookworm") {
			continue // no apt, or one of another system: keep what debootstrap wrote
		}
		if err := add(at); err != nil {
			return nil, err
		}
		if path.Ext(at) == ".sources" { // in place of the list
			files = append(files, file{path: "etc/apt/sources.list", mode: 0o644})
			break
		}
	}
	if dump, err := exec.CommandContext(ctx, "apt-config", "dump").Output(); err == nil {
		var settings strings.Builder
		for line := range strings.Lines(string(dump)) {
			// Proxies, timeouts, and checks that fail on a machine whose clock is wrong.
			if strings.HasPrefix(line, "Acquire::http") || strings.HasPrefix(line, "Acquire::Check-") || strings.HasPrefix(line, "Acquire::Retries") {
				settings.WriteString(line)
			}
		}
		files = append(files, file{path: "etc/apt/apt.conf.d/90machine", mode: 0o644, content: []byte(settings.String())})
	}
	return layer(files)
}

// command runs a program. The error has the end of its output.
func command(ctx context.Context, name string, args ...string) error {
	if out, err := exec.CommandContext(ctx, name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("run %s: %w\n%s", name, err, out[max(0, len(out)-2000):])
	}
	return nil
}
