package project

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"

	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/context/secrets"
)

// A SecretCache scans files for secrets and remembers the results by what lstat
// says of a file, as git's index does, so that nothing unchanged is read twice.
// It is safe for concurrent use.
type SecretCache struct {
	scanner func() (*secrets.Scanner, error) // made on first use: that takes some ms

	mu   sync.Mutex // guards seen
	seen map[place]scanned
}

// A place is a file of a context. What rules say depends on the path within
// the context as well, and contexts may overlap.
type place struct{ root, path string }

// scanned is the result for a file as it was, and for its path, which needs no
// stamp and costs more than a look at the stamp does.
type scanned struct {
	named []secrets.Finding
	skips bool

	stamp   buildctx.Stamp
	content []secrets.Finding
	err     error
}

// NewSecretCache returns an empty cache.
func NewSecretCache() *SecretCache {
	return &SecretCache{scanner: sync.OnceValues(secrets.New), seen: map[place]scanned{}}
}

// findings scans the effective context of l.
func (c *SecretCache) findings(ctx context.Context, s *buildctx.Selection, l buildctx.Local) []Finding {
	if c == nil {
		return nil
	}
	var list []Finding
	for f := range l.All() {
		if f.Mode.IsDir() || ctx.Err() != nil {
			continue
		}
		found, err := c.scan(ctx, l.Root, f)
		if err != nil && f.Sent && !errors.Is(err, fs.ErrNotExist) && ctx.Err() == nil {
			list = append(list, Finding{
				Rule: RuleUnreadable, Severity: Error, Path: f.Path, Size: f.Size,
				Message: "cannot be read: BuildKit's client will fail; make it readable or ignore it",
			}.placed(s, l, f))
		}
		for _, sf := range found {
			list = append(list, Finding{
				Rule: sf.Rule, Severity: Severity(sf.Severity), Path: sf.Path, Line: sf.Line, Size: f.Size,
				Message: sf.Message, Fingerprint: sf.Fingerprint,
			}.placed(s, l, f).calmed())
		}
	}
	return list
}

// calmed lowers what no builder asks for: it is worth an ignore line, and
// leaks nothing.
func (f Finding) calmed() Finding {
	if f.Reach == buildctx.InContext {
		f.Severity = Note
	}
	return f
}

func (c *SecretCache) scan(ctx context.Context, root string, f buildctx.File) ([]secrets.Finding, error) {
	scanner, err := c.scanner()
	if err != nil {
		return nil, err
	}
	at := place{root, f.Path}
	c.mu.Lock()
	have, ok := c.seen[at]
	c.mu.Unlock()
	if !ok {
		have.named, have.skips = scanner.Name(f.Path), inGit(f.Path) || scanner.Skips(f.Path)
	}
	if ok && have.stamp == f.Stamp() {
		return have.all(), have.err
	}
	have.stamp, have.content, have.err = f.Stamp(), nil, nil
	if f.Mode.IsRegular() && !have.skips {
		abs := filepath.Join(root, filepath.FromSlash(f.Path))
		have.content, have.err = read(ctx, scanner, abs, f)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	c.mu.Lock()
	c.seen[at] = have
	c.mu.Unlock()
	return have.all(), have.err
}

func (s scanned) all() []secrets.Finding { return slices.Concat(s.named, s.content) }

func read(ctx context.Context, scanner *secrets.Scanner, abs string, f buildctx.File) ([]secrets.Finding, error) {
	file, err := os.Open(abs)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	r := bufio.NewReaderSize(file, binaryLook)
	head, err := r.Peek(binaryLook)
	if err != nil && err != io.EOF {
		return nil, err
	}
	if bytes.IndexByte(head, 0) >= 0 {
		return nil, nil
	}
	return scanner.ScanFile(ctx, f.Path, r, f.Size)
}

// binaryLook is how much of a file is looked at to tell whether it is text, as
// git tells it: a zero byte makes it binary. A video of gigabytes holds no
// secret that the rules could tell from noise.
const binaryLook = 8000
