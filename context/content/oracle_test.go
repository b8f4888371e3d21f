package content_test

import (
	"context"
	"errors"
	"flag"
	"io/fs"
	"path"
	"testing"

	"github.com/moby/buildkit/cache"
	"github.com/moby/buildkit/cache/contenthash"
	digest "github.com/opencontainers/go-digest"
	"github.com/tonistiigi/fsutil"

	"github.com/stokerd/stoker/context/content"
)

var (
	cases = flag.Int("cases", 3000, "random contexts to hold against BuildKit's checksum")
	seed  = flag.Uint64("seed", 1, "seed of the first of them")
)

// metadata is as much of a snapshot as a checksum of files that were sent needs.
type metadata struct{ cache.RefMetadata }

func (metadata) ID() string                         { return "sent" }
func (metadata) GetExternal(string) ([]byte, error) { return nil, errors.New("nothing kept") }
func (metadata) SetExternal(string, []byte) error   { return nil }

// A hashed is a file as the builder is told of it when it has arrived.
type hashed struct {
	*fsutil.StatInfo
	sum digest.Digest
}

func (h hashed) Digest() digest.Digest { return h.sum }

// An oracle is BuildKit's own record of what was sent.
type oracle struct{ contenthash.CacheContext }

func newOracle(t testing.TB, files []file) oracle {
	t.Helper()
	contenthash.ClearCacheContext(metadata{})
	cc, err := contenthash.GetCacheContext(context.Background(), metadata{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range files {
		stat := files[i].Stat.Clone()
		sum, err := contenthash.NewFromStat(stat)
		if err != nil {
			t.Fatal(err)
		}
		if fs.FileMode(stat.Mode).IsRegular() {
			_, _ = sum.Write([]byte(files[i].data))
		}
		fi := hashed{&fsutil.StatInfo{Stat: stat}, digest.NewDigest(digest.SHA256, sum)}
		if err := cc.HandleChange(fsutil.ChangeKindAdd, stat.Path, fi, nil); err != nil {
			t.Fatal(err)
		}
	}
	return oracle{cc}
}

// checksum asks as opsutils.NewContentHashFunc does.
func (o oracle) checksum(s content.Selector) (digest.Digest, error) {
	return o.Checksum(context.Background(), nil, clean(s.Path), contenthash.ChecksumOpts{
		FollowLinks: s.FollowLinks, Wildcard: s.Wildcard,
		IncludePatterns: s.Include, ExcludePatterns: s.Exclude, RequiredPaths: s.Required,
	}, nil)
}

// manifest makes ours of the same files.
func manifest(files []file) *content.Manifest {
	b := content.NewBuilder(nil)
	for _, f := range files {
		h := content.Header{Mode: fs.FileMode(f.Mode), Size: f.Size, Major: f.Devmajor, Minor: f.Devminor}
		if h.Mode&fs.ModeSymlink != 0 {
			h.Link = f.Linkname
		}
		for name, value := range f.Xattrs {
			h.Xattrs = append(h.Xattrs, content.Xattr{Name: name, Value: string(value)})
		}
		b.Add(f.Path, content.Entry{Mode: h.Mode, Size: f.Size, Link: h.Link, Digest: h.DigestOf([]byte(f.data))})
	}
	return b.Manifest()
}

// compare holds ours against BuildKit's for one selector.
func compare(t testing.TB, files []file, o oracle, m *content.Manifest, s content.Selector) (ok bool) {
	t.Helper()
	want, wantErr := o.checksum(s)
	got, err := m.Checksum(s)
	if (err == nil) != (wantErr == nil) || err == nil && got.String() != want.String() {
		t.Errorf("%+v:\n ours %v, %v\n want %v, %v", s, got, err, want, wantErr)
		for _, f := range files {
			t.Logf("%v", f)
		}
		return false
	}
	return true
}

// TestChecksumIsBuildKits draws contexts and selectors.
func TestChecksumIsBuildKits(t *testing.T) {
	lists, failed := 0, 0
	for i := range *cases {
		g := newGenerator(*seed + uint64(i))
		files := g.files()
		if len(files) == 0 {
			continue // BuildKit would look at a directory on disk
		}
		o, m := newOracle(t, files), manifest(files)
		for range 8 {
			s := g.selector(files)
			if !compare(t, files, o, m, s) {
				t.Fatalf("seed %d", *seed+uint64(i))
			}
			_, err := m.Checksum(s)
			if err != nil {
				failed++
			} else if s.Wildcard || s.Include != nil || s.Exclude != nil {
				lists++
			}
		}
	}
	t.Logf("%d cases, %d checksums of lists, %d errors, seeds from %d", *cases, lists, failed, *seed)
}

func FuzzChecksum(f *testing.F) {
	f.Add(uint64(1), "a*", "", "**/a", true)
	f.Add(uint64(2), "src", "*", "!b", false)
	f.Add(uint64(3), `[^x]b/\a`, "", "", true)
	f.Fuzz(func(t *testing.T, seed uint64, path, include, exclude string, follow bool) {
		files := newGenerator(seed).files()
		s := content.Selector{Path: path, FollowLinks: follow, Wildcard: hasWildcards(path)}
		if include != "" {
			s.Include = []string{include}
		}
		if exclude != "" {
			s.Exclude = []string{"*", exclude}
		}
		if len(files) > 0 {
			compare(t, files, newOracle(t, files), manifest(files), s)
		}
	})
}

// clean is what BuildKit makes of a selector's path before it asks.
func clean(p string) string { return path.Join("/", p) }
