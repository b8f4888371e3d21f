package image

import (
	"bytes"
	"context"
	"io"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/stokerd/stoker/context/secrets"
)

// Looking for secrets costs a hundred times what decompressing does, so not everything is looked into unless asked
// for: what distributions, language runtimes and package managers put where they always do is the same in every image.
// Names are judged everywhere.

// maxLook is how much of one file is looked at. Secrets are in files that people write.
const maxLook = 1 << 20

// A Scope says which files are looked into for secrets.
type Scope string

// The scopes.
const (
	// NoSecrets looks for none.
	NoSecrets Scope = "off"
	// AppSecrets looks into what is not at a place where only packages put files. It is the default.
	AppSecrets Scope = "app"
	// AllSecrets looks into every file.
	AllSecrets Scope = "all"
)

// look says what is looked for in the files of an image.
type look struct {
	scanner *secrets.Scanner // nil to look for nothing
	all     bool
}

// packaged are the folders that only packages put files into, and vendored the ones that hold what package
// managers fetched, wherever they are.
var (
	packaged = []string{
		"bin/", "boot/", "lib/", "lib32/", "lib64/", "libx32/", "sbin/", "usr/bin/", "usr/games/", "usr/include/", "usr/lib/",
		"usr/lib32/", "usr/lib64/", "usr/libexec/", "usr/libx32/", "usr/sbin/", "usr/share/", "usr/local/go/", "usr/local/include/",
		"usr/local/lib/", "usr/local/share/", "usr/local/rustup/", "usr/local/cargo/", "opt/yarn-", "opt/java/", "opt/rh/",
		"go/pkg/mod/", "var/cache/", "var/lib/apt/", "var/lib/dpkg/", "var/lib/rpm/", "var/lib/dnf/", "etc/ssl/certs/",
		"etc/ca-certificates/", "etc/pki/", "nix/store/",
	}
	vendored = []string{
		"/node_modules/", "/site-packages/", "/dist-packages/", "/.cache/", "/go/pkg/mod/", "/.m2/repository/", "/.gradle/caches/",
		"/.cargo/registry/", "/.rustup/", "/gems/", "/.npm/_cacache/", "/.yarn/", "/pnpm/store/", "/__pycache__/", "/.git/objects/",
	}
)

// wants reports whether the content of the file is looked at.
func (k look) wants(name string) bool {
	if k.scanner == nil || !k.all && isPackaged(name) {
		return false
	}
	return !k.scanner.Skips(name)
}

func isPackaged(name string) bool {
	for _, dir := range packaged {
		if strings.HasPrefix(name, dir) {
			return true
		}
	}
	for _, dir := range vendored {
		if strings.Contains(name, dir) || strings.HasPrefix(name, dir[1:]) {
			return true
		}
	}
	return false
}

// pool looks into several files at a time while the layer is read on. At most as many files are held as there are
// processors. One goroutine hands out the files and waits.
type pool struct {
	look
	ctx    context.Context
	group  *errgroup.Group
	partly int
	failed atomic.Bool

	mu    sync.Mutex // guards what follows
	found []found
}

// buffers are what files are read into before they are looked at.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

func (k look) pool(ctx context.Context) *pool {
	p := &pool{look: k}
	p.group, p.ctx = errgroup.WithContext(ctx)
	p.group.SetLimit(runtime.GOMAXPROCS(0))
	return p
}

// file judges the name of a file and, in time, what is in it: as much as it reads of r.
func (p *pool) file(at int, name string, r io.Reader, size int64, sparse bool) error {
	if p.scanner == nil {
		return nil
	}
	p.add(at, p.scanner.Name(name))
	if size == 0 || sparse || p.failed.Load() || !p.wants(name) {
		return nil
	}
	if size > maxLook {
		p.partly++
	}
	buf, ok := buffers.Get().(*bytes.Buffer)
	if !ok {
		buf = new(bytes.Buffer)
	}
	buf.Reset()
	if _, err := io.CopyN(buf, r, min(size, maxLook)); err != nil {
		return err
	}
	p.group.Go(func() error {
		defer buffers.Put(buf)
		list, err := p.scanner.ScanFile(p.ctx, name, bytes.NewReader(buf.Bytes()), int64(buf.Len()))
		if err != nil {
			p.failed.Store(true)
			return err
		}
		p.add(at, list)
		return nil
	})
	return nil
}

func (p *pool) add(at int, list []secrets.Finding) {
	if len(list) == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range list {
		p.found = append(p.found, found{at, f})
	}
}

// wait returns what was found, in no order, and how many files were looked at in part. It may be called again.
func (p *pool) wait() ([]found, int, error) {
	err := p.group.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.found, p.partly, err
}
