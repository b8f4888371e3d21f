package content_test

import (
	"io/fs"
	"testing"

	"github.com/moby/buildkit/cache/contenthash"
	digest "github.com/opencontainers/go-digest"
	"github.com/tonistiigi/fsutil"

	"github.com/stokerd/stoker/context/content"
	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/randtest"
)

// A hashed is a file as the builder is told of it when it has arrived.
type hashed struct {
	*fsutil.StatInfo
	sum digest.Digest
}

func (h hashed) Digest() digest.Digest { return h.sum }

// newOracle returns a snapshot that has recorded the arrival of files, which it
// does not hold.
func newOracle(t testing.TB, files []file) *snapshot {
	t.Helper()
	s := newSnapshot(t, "recorded", "")
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
		if err := s.HandleChange(fsutil.ChangeKindAdd, stat.Path, fi, nil); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// manifest makes ours of the same files.
func manifest(files []file) *content.Manifest {
	var list []content.FileAt
	for _, f := range files {
		h := content.Header{Mode: fs.FileMode(f.Mode), Size: f.Size, Major: f.Devmajor, Minor: f.Devminor}
		if h.Mode&fs.ModeSymlink != 0 {
			h.Link = f.Linkname
		}
		for name, value := range f.Xattrs {
			h.Xattrs = append(h.Xattrs, content.Xattr{Name: name, Value: string(value)})
		}
		list = append(list, content.FileAt{Path: f.Path, Entry: content.Entry{
			Mode: h.Mode, Size: f.Size, Link: h.Link, Digest: h.DigestOf([]byte(f.data)),
		}})
	}
	return content.NewManifest(list)
}

// TestChecksumIsBuildKits draws contexts and selectors.
func TestChecksumIsBuildKits(t *testing.T) {
	lists, failed := 0, 0
	for seed := range randtest.Seeds(t, 2000, 100_000) {
		g := newGenerator(seed)
		files := g.files()
		if len(files) == 0 {
			continue // BuildKit would look at a directory on disk
		}
		o, m := newOracle(t, files), manifest(files)
		for range 8 {
			s := g.selector(files)
			if !o.compare(t, m, s) {
				t.Fatalf("seed %d, files:\n%v", seed, files)
			}
			_, err := m.Checksum(s)
			if err != nil {
				failed++
			} else if s.Wildcard || s.Include != nil || s.Exclude != nil {
				lists++
			}
		}
	}
	t.Logf("%d checksums of lists, %d errors", lists, failed)
}

func FuzzChecksum(f *testing.F) {
	f.Add(uint64(1), "a*", "", "**/a", true)
	f.Add(uint64(2), "src", "*", "!b", false)
	f.Add(uint64(3), `[^x]b/\a`, "", "", true)
	f.Fuzz(func(t *testing.T, seed uint64, path, include, exclude string, follow bool) {
		files := newGenerator(seed).files()
		s := dockerfile.Selector{Path: path, FollowLinks: follow, Wildcard: hasWildcards(path)}
		if include != "" {
			s.Include = []string{include}
		}
		if exclude != "" {
			s.Exclude = []string{"*", exclude}
		}
		if len(files) > 0 && !newOracle(t, files).compare(t, manifest(files), s) {
			t.Fatalf("files:\n%v", files)
		}
	})
}
