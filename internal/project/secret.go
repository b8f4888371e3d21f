package project

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"hash/maphash"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/context/secrets"
)

// A SecretCache searches files for secrets. It remembers the results with what lstat
// returns for a file, as git's index does, so that a file is only read again if it changed.
// It is safe for concurrent use. A nil *SecretCache finds no secrets.
type SecretCache struct {
	scanner func() (*secrets.Scanner, error) // makes it at the first call, which takes some ms
	seed    maphash.Seed

	mu    sync.Mutex // guards the fields that follow
	pass  uint32     // number of the last pass: see begin
	roots map[string]*scannedRoot
}

// A scannedRoot remembers the files of one context. Files are not shared between contexts
// that overlap, because rules depend on the path within the context.
type scannedRoot struct {
	// seen has the files that were searched, by a hash of the path. There may be a million,
	// nearly all of which have no secrets.
	seen  map[uint64]mark
	found map[string]scanned // those with findings or an error, by path
}

// A mark has a hash of the stamp with which a file was searched, and the pass in which it
// was last seen.
type mark struct{ stamp, pass uint32 }

// scanned is the result of searching a file.
type scanned struct {
	stamp    buildctx.Stamp // of the file at that time
	findings []secrets.Finding
	err      error
}

// NewSecretCache returns an empty cache.
func NewSecretCache() *SecretCache {
	return &SecretCache{scanner: sync.OnceValues(secrets.New), seed: maphash.MakeSeed(), roots: map[string]*scannedRoot{}}
}

// scan returns the secrets in the file f of the context at root. The error is one of
// reading the file, or ctx's.
func (c *SecretCache) scan(ctx context.Context, root string, f buildctx.File) ([]secrets.Finding, error) {
	if have, ok := c.remembered(root, f); ok {
		return have.findings, have.err
	}
	scanner, err := c.scanner()
	if err != nil {
		return nil, err
	}
	s := scanned{stamp: f.Stamp(), findings: scanner.Name(f.Path)}
	if f.Mode.IsRegular() && f.Size > 0 && !inGit(f.Path) && !scanner.Skips(f.Path) {
		var content []secrets.Finding
		content, s.err = read(ctx, scanner, filepath.Join(root, filepath.FromSlash(f.Path)), f)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		s.findings = slices.Concat(s.findings, content)
		s.findings = withoutPublic(s.findings, filepath.Join(root, filepath.FromSlash(f.Path)), f)
	}
	c.remember(root, f, s)
	return s.findings, s.err
}

// withoutPublic returns the findings without the one about environment files if the file
// has only variables that are public, because a build writes them into web pages.
func withoutPublic(found []secrets.Finding, name string, f buildctx.File) []secrets.Finding {
	env := func(one secrets.Finding) bool { return one.Rule == "env-file" }
	if f.Size > 1<<20 || !slices.ContainsFunc(found, env) {
		return found
	}
	text, err := os.ReadFile(name)
	if err != nil || !secrets.OnlyPublic(text) {
		return found
	}
	return slices.DeleteFunc(found, env)
}

// ahead searches the files of l that are not remembered, as many at once as there are
// processors. Most of the time to open a repository is spent here.
func (c *SecretCache) ahead(ctx context.Context, l buildctx.Local) {
	if c == nil {
		return
	}
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for f := range l.All() {
		if ctx.Err() != nil {
			break
		}
		if _, ok := c.remembered(l.Root, f); ok || f.Mode.IsDir() {
			continue
		}
		group.Go(func() error {
			_, _ = c.scan(ctx, l.Root, f) // the result is remembered, including an error
			return nil
		})
	}
	_ = group.Wait() // none fails
}

func (c *SecretCache) remembered(root string, f buildctx.File) (scanned, bool) {
	key, stamp := c.hashes(f)
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.roots[root]
	if r == nil {
		return scanned{}, false
	}
	m, ok := r.seen[key]
	if !ok || m.stamp != stamp {
		return scanned{}, false
	}
	have, ok := r.found[f.Path]
	if ok && have.stamp != f.Stamp() {
		return scanned{}, false
	}
	if m.pass != c.pass {
		r.seen[key] = mark{stamp, c.pass}
	}
	return have, true
}

func (c *SecretCache) remember(root string, f buildctx.File, s scanned) {
	key, stamp := c.hashes(f)
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.roots[root]
	if r == nil {
		r = &scannedRoot{seen: map[uint64]mark{}, found: map[string]scanned{}}
		c.roots[root] = r
	}
	r.seen[key] = mark{stamp, c.pass}
	delete(r.found, f.Path)
	if len(s.findings) > 0 || s.err != nil {
		r.found[f.Path] = s
	}
}

// hashes returns the keys of a file in a scannedRoot.
func (c *SecretCache) hashes(f buildctx.File) (path uint64, stamp uint32) {
	return maphash.String(c.seed, f.Path), uint32(maphash.Comparable(c.seed, f.Stamp()))
}

// forget removes a file that is gone.
func (c *SecretCache) forget(root, path string) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.roots[root]; r != nil {
		delete(r.seen, maphash.String(c.seed, path))
		delete(r.found, path)
	}
}

// begin begins a pass over all files of some contexts, and returns its number for end.
func (c *SecretCache) begin() uint32 {
	if c == nil {
		return 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pass++
	return c.pass
}

// end removes the files of the context at root that were not seen since the pass began.
func (c *SecretCache) end(root string, pass uint32) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.roots[root]
	if r == nil {
		return
	}
	for key, m := range r.seen {
		if m.pass < pass {
			delete(r.seen, key)
		}
	}
	for path := range r.found {
		if _, ok := r.seen[maphash.String(c.seed, path)]; !ok {
			delete(r.found, path)
		}
	}
}

// read searches the content of a file with the absolute path abs, unless it is binary.
func read(ctx context.Context, scanner *secrets.Scanner, abs string, f buildctx.File) ([]secrets.Finding, error) {
	file, err := os.Open(abs)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	r := bufio.NewReaderSize(file, binaryLook)
	head, err := r.Peek(binaryLook)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if bytes.IndexByte(head, 0) >= 0 {
		return nil, nil
	}
	return scanner.ScanFile(ctx, f.Path, r, f.Size)
}

// binaryLook is the number of bytes in which a zero byte makes a file binary, as in git.
// Binary files may be large, and the rules cannot tell secrets in them from noise.
const binaryLook = 8000
