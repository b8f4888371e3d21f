package verify_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/tools/txtar"

	"github.com/stokerd/stoker/internal/randtest"
	"github.com/stokerd/stoker/internal/verify"
)

// A member is one entry of a tar.
type member struct {
	tar.Header
	body string
}

// members reads a layer, one entry a line: KIND MODE UID:GID PATH, and for a file
// its content, for a link its target. The kinds are those of ls -l, and h for a
// hard link. A mode may be followed by extended attributes: 755,user.a=1.
func members(t testing.TB, text string) []member {
	t.Helper()
	kinds := map[string]byte{"-": tar.TypeReg, "d": tar.TypeDir, "l": tar.TypeSymlink, "h": tar.TypeLink, "p": tar.TypeFifo, "c": tar.TypeChar, "b": tar.TypeBlock}
	var list []member
	for line := range strings.Lines(text) {
		var kind, mode, extra string
		var m member
		words := strings.Fields(line)
		if len(words) < 4 {
			t.Fatalf("no entry: %q", line)
		}
		kind, mode = words[0], words[1]
		if len(words) > 4 {
			extra = words[4]
		}
		mode, xattrs, _ := strings.Cut(mode, ",")
		if _, err := fmt.Sscanf(mode+" "+words[2], "%o %d:%d", &m.Mode, &m.Uid, &m.Gid); err != nil {
			t.Fatalf("no entry: %q: %v", line, err)
		}
		for pair := range strings.SplitSeq(xattrs, ",") {
			if name, value, ok := strings.Cut(pair, "="); ok {
				m.PAXRecords = map[string]string{"SCHILY.xattr." + name: value}
			}
		}
		m.Typeflag, m.Name, m.Format = kinds[kind], words[3], tar.FormatPAX
		switch kind {
		case "l", "h":
			m.Linkname = extra
		case "c", "b":
			if _, err := fmt.Sscanf(extra, "%d:%d", &m.Devmajor, &m.Devminor); err != nil {
				t.Fatalf("no device: %q: %v", line, err)
			}
		case "-":
			m.body, m.Size = extra, int64(len(extra))
		}
		list = append(list, m)
	}
	return list
}

// pack writes members to a tar.
func pack(t testing.TB, list []member) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, m := range list {
		if err := w.WriteHeader(&m.Header); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, m.body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// archive packs layers to an image. Its blobs come before what leads to them, as
// from BuildKit, whose archives are sorted by name.
func archive(t testing.TB, config string, layers ...[]byte) []byte {
	t.Helper()
	var list []member
	add := func(name string, text []byte) {
		list = append(list, member{tar.Header{Typeflag: tar.TypeReg, Mode: 0o644, Name: name, Size: int64(len(text))}, string(text)})
	}
	blob := func(text []byte) ocispecs.Descriptor {
		d := ocispecs.Descriptor{Digest: digest.FromBytes(text), Size: int64(len(text))}
		add("blobs/sha256/"+d.Digest.Encoded(), text)
		return d
	}
	document := func(v any) []byte {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	m := ocispecs.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, Config: blob([]byte(config))}
	for _, l := range layers {
		m.Layers = append(m.Layers, blob(l))
	}
	add("index.json", document(ocispecs.Index{Manifests: []ocispecs.Descriptor{blob(document(m))}}))
	add("oci-layout", []byte(`{"imageLayoutVersion": "1.0.0"}`))
	return pack(t, list)
}

const amd64 = `{"os": "linux", "architecture": "amd64"}`

func readOne(t testing.TB, text []byte) (verify.Image, error) {
	t.Helper()
	list, err := verify.Read(t.Context(), bytes.NewReader(text))
	if err != nil {
		return verify.Image{}, err
	}
	if len(list) != 1 {
		t.Fatalf("%d images", len(list))
	}
	return list[0], nil
}

// Each scenario has layers, and what a container would find, or an error. What
// containerd makes of the same layers is asked too: see TestLayersAsContainerd.
func TestLayers(t *testing.T) {
	for _, s := range scenarios(t) {
		t.Run(s.name, func(t *testing.T) {
			image, err := readOne(t, archive(t, amd64, s.layers...))
			if want, ok := s.sections["error"]; ok {
				if err == nil || !strings.Contains(err.Error(), strings.TrimSpace(want)) {
					t.Errorf("error: %v, want %s", err, want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(s.sections["want"], listing(image)); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
		})
	}
}

type scenario struct {
	name     string
	layers   [][]byte
	sections map[string]string
}

func scenarios(t *testing.T) []scenario {
	t.Helper()
	names, err := filepath.Glob("testdata/layers/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	var list []scenario
	for _, name := range names {
		a, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		s := scenario{name: strings.TrimSuffix(filepath.Base(name), ".txtar"), sections: map[string]string{}}
		for _, f := range a.Files {
			if f.Name == "layer" {
				s.layers = append(s.layers, pack(t, members(t, string(f.Data))))
			}
			s.sections[f.Name] = string(f.Data)
		}
		list = append(list, s)
	}
	return list
}

// listing writes the files of an image, one a line, as [members] reads them, with
// a part of its digest for a file's content.
func listing(i verify.Image) string {
	var b strings.Builder
	for _, f := range i.Files {
		b.WriteString(f.String() + "\n")
	}
	return b.String()
}

// However a layer is compressed, it is the same layer.
func TestCompressedLayers(t *testing.T) {
	plain := pack(t, members(t, "d 755 0:0 etc\n- 644 0:0 etc/a content\n"))
	var zipped, packed bytes.Buffer
	g := gzip.NewWriter(&zipped)
	z, err := zstd.NewWriter(&packed)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range []io.WriteCloser{g, z} {
		if _, err := w.Write(plain); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for _, text := range [][]byte{plain, zipped.Bytes(), packed.Bytes()} {
		image, err := readOne(t, archive(t, amd64, text))
		sum := sha256.Sum256([]byte("content"))
		if want := fmt.Sprintf("d 0755 0:0 etc\n- 0644 0:0 etc/a 7 %x\n", sum[:4]); err != nil || listing(image) != want {
			t.Errorf("%v, files:\n%s", err, listing(image))
		}
	}
}

// What cannot be read is an error that says where, and only if the image needs it.
func TestBadArchives(t *testing.T) {
	good := pack(t, members(t, "- 644 0:0 a a\n"))
	for _, c := range []struct {
		name string
		text []byte
		want string
	}{
		{"nothing", nil, "no index"},
		{"no tar", []byte(strings.Repeat("x", 2000)), "invalid tar header"},
		{"cut off", archive(t, amd64, good)[:3000], "unexpected EOF"},
		{"a layer that is cut off", archive(t, amd64, good[:512]), "layer 1: unexpected EOF"},
		{"a layer that is none", archive(t, amd64, good, []byte(strings.Repeat("x", 1024))), "layer 2: archive/tar: invalid tar header"},
		{"a layer that is a document", archive(t, amd64, []byte("{}")), "layer 1 is not in the archive"},
		{"gzip that is none", archive(t, amd64, []byte("\x1f\x8b\x00\x00")), "layer 1: "},
		{"no configuration", archive(t, "", good), "configuration: "},
		{"no object", archive(t, `{"config": [1]}`, good), "configuration: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := readOne(t, c.text); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error: %v, want %s", err, c.want)
			}
		})
	}
}

// A sparse file is as long as it says, and nobody has to wait for its end.
func TestSparseFileCanBeInterrupted(t *testing.T) {
	// archive/tar does not write sparse files: these are the PAX records of GNU
	// format 0.1, whose map says that all of it is a hole, under a name as long.
	raw := pack(t, []member{{Header: tar.Header{
		Typeflag: tar.TypeReg, Mode: 0o644, Name: "hole", Format: tar.FormatPAX,
		PAXRecords: map[string]string{"XXX.sparse.numblocks": "1", "XXX.sparse.map": "0,0", "XXX.sparse.size": "1152921504606846976"},
	}}})
	raw = bytes.ReplaceAll(raw, []byte("XXX.sparse"), []byte("GNU.sparse"))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := verify.Read(ctx, bytes.NewReader(archive(t, amd64, raw)))
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error: %v", err)
	}
}

// Damaged layers are read or refused; nothing panics, and no path leads out.
func TestDamagedLayers(t *testing.T) {
	good := pack(t, members(t, "d 755 0:0 d\n- 644,user.a=1 0:0 d/a a\nh 644 0:0 b d/a\nl 777 0:0 l d\n- 644 0:0 l/c c\n- 644 0:0 d/.wh.x\nc 600 0:0 n 1:3\n"))
	read := 0
	for seed := range randtest.Seeds(t, 500, 50_000) {
		rng := rand.New(rand.NewPCG(seed, 0))
		text := bytes.Clone(good)
		for range 1 + rng.IntN(6) {
			at := rng.IntN(len(text))
			if header := at / 512 * 512; rng.IntN(2) == 0 && header+512 <= len(text) {
				// Damage that a checksum does not give away.
				text[header+rng.IntN(148)] = byte(rng.IntN(256))
				sum := 0
				for i, c := range text[header : header+512] {
					if i >= 148 && i < 156 {
						c = ' '
					}
					sum += int(c)
				}
				copy(text[header+148:], fmt.Sprintf("%06o\x00 ", sum))
			} else {
				text[at] ^= 1 << rng.IntN(8)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		list, err := verify.Read(ctx, bytes.NewReader(archive(t, amd64, good, text)))
		cancel()
		if err != nil {
			continue
		}
		read++
		for _, f := range list[0].Files {
			if f.Path == "" || strings.HasPrefix(f.Path, "/") || strings.Contains("/"+f.Path+"/", "/../") {
				t.Fatalf("seed %d: path %q", seed, f.Path)
			}
		}
	}
	if read == 0 {
		t.Error("none could be read, so that this shows nothing")
	}
}

func FuzzRead(f *testing.F) {
	f.Add(archive(f, amd64, pack(f, members(f, "d 755 0:0 d\n- 644 0:0 d/a a\nh 644 0:0 b d/a\n")), pack(f, members(f, "- 644 0:0 d/.wh..wh..opq\nl 777 0:0 l d\n- 600,user.a=1 7:7 l/c c\n- 644 0:0 .wh.b\n"))))
	f.Fuzz(func(t *testing.T, text []byte) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		first, err := verify.Read(ctx, bytes.NewReader(text))
		if err != nil {
			return
		}
		for _, i := range first {
			for n, f := range i.Files {
				if f.Path == "" || strings.HasPrefix(f.Path, "/") || strings.Contains("/"+f.Path+"/", "/../") || n > 0 && f.Path <= i.Files[n-1].Path {
					t.Errorf("path %q", f.Path)
				}
			}
		}
	})
}

// FuzzLayer reads and applies anything as the layers of an image, on top of a
// good one.
func FuzzLayer(f *testing.F) {
	good := pack(f, members(f, "d 755 0:0 d\n- 644 0:0 d/a a\nl 777 0:0 l d\n"))
	f.Add(good)
	f.Add(pack(f, members(f, "- 644 0:0 l/.wh.a\nh 644 0:0 l/b l/a\n- 644 0:0 d/.wh..wh..opq\n")))
	f.Fuzz(func(t *testing.T, text []byte) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, _ = verify.Read(ctx, bytes.NewReader(archive(t, amd64, good, text, text)))
	})
}
