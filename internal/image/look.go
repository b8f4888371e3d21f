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

// To search a file for secrets takes a hundred times as long as to decompress it. By default, files are therefore left
// out that distributions, language runtimes and package managers install, which are the same in many images. The names
// of all files are checked.

// maxLook is how many bytes of a file are searched. Secrets are in files that people write, which are small.
const maxLook = 1 << 20

// A Scope says which files are searched for secrets.
type Scope string

// The scopes.
const (
	// NoSecrets searches no files.
	NoSecrets Scope = "off"
	// AppSecrets searches files outside of the folders that packages are installed to. It is the default.
	AppSecrets Scope = "app"
	// AllSecrets searches all files.
	AllSecrets Scope = "all"
)

// look says how the files of an image are searched for secrets.
type look struct {
	scanner *secrets.Scanner // nil to search none
	all     bool             // also files of packages
}

// packaged are the folders, from the root, that only packages install files to. vendored are the folders that package
// managers download to, at any place.
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

// wants reports whether the content of a file is searched.
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

// pool searches the files of a layer for secrets, several at a time, while the layer is being read. It holds at most as
// many files in memory as there are processors. Its methods are called by one goroutine, which has to call wait.
type pool struct {
	look
	ctx       context.Context
	group     *errgroup.Group
	truncated int         // files longer than maxLook
	failed    atomic.Bool // a search failed: do not begin another one

	mu    sync.Mutex // guards found
	found []found
}

// buffers has the buffers that files are read into before they are searched.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

func (k look) pool(ctx context.Context) *pool {
	p := &pool{look: k}
	p.group, p.ctx = errgroup.WithContext(ctx)
	p.group.SetLimit(runtime.GOMAXPROCS(0))
	return p
}

// file checks the name of a file, and reads the beginning of its content from r to search it in another goroutine. at
// is the index of its entry.
func (p *pool) file(at int, name string, r io.Reader, size int64, sparse bool) error {
	if p.scanner == nil {
		return nil
	}
	p.add(at, p.scanner.Name(name))
	if size == 0 || sparse || p.failed.Load() || !p.wants(name) {
		return nil
	}
	if size > maxLook {
		p.truncated++
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

// wait waits until all files are searched. It returns what was found, in any order, and how many files were searched
// only in part. It may be called again.
func (p *pool) wait() ([]found, int, error) {
	err := p.group.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.found, p.truncated, err
}
