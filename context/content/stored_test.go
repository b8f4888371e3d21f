package content_test

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stokerd/stoker/context/content"
	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/randtest"
)

// objects keeps what is written, and counts its bytes.
type objects struct {
	byDigest map[content.Digest][]byte
	written  int
}

func newObjects() *objects { return &objects{byDigest: map[content.Digest][]byte{}} }

func (o *objects) Has(d content.Digest) (bool, error) { return o.byDigest[d] != nil, nil }

func (o *objects) Put(d content.Digest, object []byte) error {
	o.written += len(object)
	o.byDigest[d] = object
	return nil
}

func (o *objects) get(d content.Digest) ([]byte, error) {
	if object := o.byDigest[d]; object != nil {
		return object, nil
	}
	return nil, errors.New("no such object")
}

func (o *objects) write(t testing.TB, m *content.Manifest) {
	t.Helper()
	if err := m.Write(o); err != nil {
		t.Fatal(err)
	}
}

// differences are what two manifests differ in, as it is shown.
func differences(a, b *content.Manifest) map[string]string {
	found := map[string]string{}
	for d := range content.Compare(a, b) {
		found[d.Path] = fmt.Sprint(d.Changes, " ", d.Before.Mode, " ", d.After.Mode, " ", d.Before.Link, " ", d.After.Link)
	}
	return found
}

// TestStoredIsWhatWasWritten draws two contexts, and compares what was stored of
// them.
func TestStoredIsWhatWasWritten(t *testing.T) {
	for seed := range randtest.Seeds(t, 500, 20_000) {
		g := newGenerator(seed)
		a, b := manifest(g.files()), manifest(g.files())
		o := newObjects()
		o.write(t, a)
		o.write(t, b)
		s := content.NewStored(o.get)
		if d := cmp.Diff(differences(a, b), differences(s.Manifest(a.Digest()), s.Manifest(b.Digest()))); d != "" || s.Err() != nil {
			t.Fatalf("seed %d: %v (-in memory +stored):\n%s", seed, s.Err(), d)
		}
		reached := map[content.Digest]bool{}
		var walk func(content.Digest)
		walk = func(d content.Digest) {
			reached[d] = true
			for below := range content.Below(o.byDigest[d]) {
				walk(below)
			}
		}
		walk(a.Digest())
		walk(b.Digest())
		for d := range maps.Keys(o.byDigest) {
			if !reached[d] {
				t.Fatalf("seed %d: %s is stored and cannot be reached", seed, d)
			}
		}
	}
}

// TestHeldIsAsItWasKept changes no more than the attributes of a file of each
// kind, which a builder that holds the file does not see: also where what it holds
// was read from its pages.
func TestHeldIsAsItWasKept(t *testing.T) {
	file := func(header content.Header) *content.Manifest {
		return content.NewManifest([]content.FileAt{{Path: "a", Entry: content.Entry{
			Mode: header.Mode, Size: header.Size, Link: header.Link, Modified: 1, Digest: header.DigestOf(nil),
		}}})
	}
	for name, header := range map[string]content.Header{
		"file":      {Mode: 0o644, Size: 3},
		"link":      {Mode: fs.ModeSymlink | 0o777, Size: 3, Link: "a/b"},
		"directory": {Mode: fs.ModeDir | 0o755},
		"pipe":      {Mode: fs.ModeNamedPipe | 0o644},
		"socket":    {Mode: fs.ModeSocket | 0o755},
	} {
		t.Run(name, func(t *testing.T) {
			held := file(header)
			header.Xattrs = []content.Xattr{{Name: "trusted.a", Value: "1"}}
			sent := file(header)
			kept, err := content.FromPages(maps.Collect(held.Pages(nil)))
			if err != nil {
				t.Fatal(err)
			}
			if sent.Digest() == held.Digest() || sent.After(held).Digest() != held.Digest() {
				t.Error("the builder would see that attributes changed")
			}
			if sent.After(kept).Digest() != held.Digest() {
				t.Error("after a restart the builder would see that attributes changed")
			}
		})
	}
}

// What cannot be read is an error, and nothing else comes of it.
func TestStoredIsDamaged(t *testing.T) {
	a, b := manifest(newGenerator(3).files()), manifest(newGenerator(4).files())
	for _, damage := range []func(*objects){
		func(o *objects) { clear(o.byDigest) },
		func(o *objects) { o.byDigest[a.Digest()] = []byte{1, 2, 3} },
		func(o *objects) { o.byDigest[b.Digest()] = []byte{2, 1} },
		func(o *objects) { o.byDigest[b.Digest()] = nil },
		func(o *objects) { o.byDigest[b.Digest()] = append([]byte{2}, make([]byte, 32)...) },
	} {
		o := newObjects()
		o.write(t, a)
		o.write(t, b)
		damage(o)
		s := content.NewStored(o.get)
		for range content.Compare(s.Manifest(a.Digest()), s.Manifest(b.Digest())) {
			continue
		}
		if len(o.byDigest[b.Digest()]) == 2 { // a list of no parts reads as empty
			continue
		}
		if !errors.Is(s.Err(), content.ErrObject) {
			t.Errorf("a damaged object gives %v", s.Err())
		}
	}
}

// flat is a directory with n files, of which the one at changed is other.
func flat(n, changed int) *content.Manifest {
	files := make([]content.FileAt, 0, n)
	for i := range n {
		h := content.Header{Mode: 0o644, Size: 1}
		data := []byte{'a'}
		if i == changed {
			data[0] = 'b'
		}
		files = append(files, content.FileAt{Path: fmt.Sprintf("file%07d", i), Entry: content.Entry{
			Mode: h.Mode, Size: 1, Digest: h.DigestOf(data), Data: uint32(data[0]),
		}})
	}
	return content.NewManifest(files)
}

// Of a directory with very many files, a change of one writes a small part.
func TestLargeDirectoryIsWrittenOnce(t *testing.T) {
	o := newObjects()
	o.write(t, flat(30_000, -1))
	first := o.written
	o.write(t, flat(30_000, 17_000))
	if again := o.written - first; again > first/50 {
		t.Errorf("a directory takes %d bytes, and %d more for one changed file", first, again)
	}
	s := content.NewStored(o.get)
	got := differences(s.Manifest(flat(30_000, -1).Digest()), s.Manifest(flat(30_000, 17_000).Digest()))
	if want := map[string]string{"file0017000": "[content] -rw-r--r-- -rw-r--r--  "}; !cmp.Equal(want, got) || s.Err() != nil {
		t.Errorf("differences %v, %v; want %v", got, s.Err(), want)
	}
}

// TestTakenIsWhatCounts draws contexts and selectors: what is taken has the digest
// that all has, and two contexts differ in what is taken if their digests do.
func TestTakenIsWhatCounts(t *testing.T) {
	differ, blamed := 0, 0
	for seed := range randtest.Seeds(t, 2000, 100_000) {
		g := newGenerator(seed)
		files := g.files()
		m := manifest(files)
		other := manifest(mutate(g, files))
		for range 8 {
			selectors := []dockerfile.Selector{g.selector(files)}
			if g.IntN(3) == 0 {
				selectors = append(selectors, g.selector(files))
			}
			taken, err := m.Taken(selectors)
			want, wantErr := m.Content(selectors)
			if (err == nil) != (wantErr == nil) {
				t.Fatalf("seed %d, %+v: %v, but the digest gives %v", seed, selectors, err, wantErr)
			}
			if err != nil {
				continue
			}
			// BuildKit looks for these from what is there on (see lister.run).
			odd := slices.ContainsFunc(selectors, func(s dockerfile.Selector) bool { return strings.ContainsAny(s.Path, `[\`) })
			if got, err := taken.Content(selectors); !odd && !taken.Empty() && (err != nil || got != want) {
				t.Fatalf("seed %d, %+v: what is taken has %v (%v), all has %v; files:\n%v", seed, selectors, got, err, want, files)
			}
			otherTaken, err := other.Taken(selectors)
			if err != nil {
				continue
			}
			if now, _ := other.Content(selectors); now != want {
				differ++
				if len(differences(taken, otherTaken)) == 0 {
					t.Fatalf("seed %d, %+v: the digest differs and nothing is to blame; files:\n%v", seed, selectors, files)
				}
			} else if len(differences(taken, otherTaken)) > 0 {
				blamed++ // of equal digests nobody asks
			}
		}
	}
	t.Logf("%d digests differed; %d did not although files did", differ, blamed)
}

// mutate returns files with some changed, and some gone.
func mutate(g generator, files []file) []file {
	var next []file
	for _, f := range files {
		f.Stat = f.Stat.Clone()
		mode := fs.FileMode(f.Mode)
		switch g.IntN(8) {
		case 0:
			f.Mode = uint32(mode&^fs.ModePerm | pick(g, modes).Perm())
		case 1:
			if mode.IsRegular() {
				f.data += "y"
				f.Size++
			}
		case 2:
			if mode.IsRegular() {
				continue
			}
		case 3:
			if mode&fs.ModeSymlink != 0 {
				f.Linkname = pick(g, targets)
			}
		}
		next = append(next, f)
	}
	return next
}

// tree is a context of n files in directories of a hundred.
func tree(n int, changed int) *content.Manifest {
	var files []content.FileAt
	dir := content.Header{Mode: fs.ModeDir | 0o755}
	for i := range n {
		if i%10_000 == 0 {
			files = append(files, content.FileAt{Path: fmt.Sprintf("dir%04d", i/10_000), Entry: content.Entry{Mode: dir.Mode, Digest: dir.Digest()}})
		}
		if i%100 == 0 {
			files = append(files, content.FileAt{Path: fmt.Sprintf("dir%04d/sub%02d", i/10_000, i/100%100), Entry: content.Entry{Mode: dir.Mode, Digest: dir.Digest()}})
		}
		h := content.Header{Mode: 0o644, Size: 1}
		data := []byte{byte(i)}
		if i == changed {
			data[0]++
		}
		files = append(files, content.FileAt{Path: fmt.Sprintf("dir%04d/sub%02d/file%02d.go", i/10_000, i/100%100, i%100), Entry: content.Entry{
			Mode: h.Mode, Size: 1, Digest: h.DigestOf(data), Data: rand.Uint32(),
		}})
	}
	return content.NewManifest(files)
}

// BenchmarkCompareStored200k compares two stored manifests of 200,000 files that
// differ in one.
func BenchmarkCompareStored200k(b *testing.B) {
	before, after, o := tree(200_000, -1), tree(200_000, 123_456), newObjects()
	o.write(b, before)
	first := o.written
	o.write(b, after)
	b.ReportMetric(float64(first)/200_000, "B/file")
	b.ReportMetric(float64(o.written-first), "B/change")
	for b.Loop() {
		s := content.NewStored(o.get)
		if got := differences(s.Manifest(before.Digest()), s.Manifest(after.Digest())); len(got) != 1 || s.Err() != nil {
			b.Fatal(got, s.Err())
		}
	}
}
