package buildkit

import (
	"archive/tar"
	"bytes"
	"errors"
	"io/fs"
	"os"
	"slices"
	"testing"
)

// TestUnpackLayout: of what an Engine gives only the layout is written, whatever else the archive names.
func TestUnpackLayout(t *testing.T) {
	for _, test := range []struct {
		name    string
		headers []tar.Header
		want    []string
		err     error
	}{
		{name: "from 25 on", headers: []tar.Header{
			{Name: "blobs/", Typeflag: tar.TypeDir}, {Name: "blobs/sha256/0a", Typeflag: tar.TypeReg, Size: 1}, {Name: "./index.json", Typeflag: tar.TypeReg, Size: 1},
			{Name: "manifest.json", Typeflag: tar.TypeReg, Size: 1}, {Name: "oci-layout", Typeflag: tar.TypeReg, Size: 1},
		}, want: []string{"blobs/sha256/0a", "index.json", "oci-layout"}},
		{name: "before", headers: []tar.Header{
			{Name: "0a/layer.tar", Typeflag: tar.TypeReg, Size: 1}, {Name: "manifest.json", Typeflag: tar.TypeReg, Size: 1},
		}, err: errOldForm},
		{name: "ways out", headers: []tar.Header{
			{Name: "blobs/sha256", Typeflag: tar.TypeSymlink, Linkname: "/etc"}, {Name: "../../index.json", Typeflag: tar.TypeReg, Size: 1},
			{Name: "blobs/sha256/../../x", Typeflag: tar.TypeReg, Size: 1}, {Name: "blobs/sha256/0b", Typeflag: tar.TypeReg, Size: 1},
		}, want: []string{"blobs/sha256/0b", "index.json"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var archive bytes.Buffer
			w := tar.NewWriter(&archive)
			for _, h := range test.headers {
				if err := w.WriteHeader(&h); err != nil {
					t.Fatal(err)
				}
				if _, err := w.Write(make([]byte, h.Size)); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			root, err := os.OpenRoot(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			defer root.Close()
			if err := unpackLayout(&archive, root); !errors.Is(err, test.err) {
				t.Fatalf("got %v, want %v", err, test.err)
			}
			var got []string
			err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
				if err == nil && !d.IsDir() {
					got = append(got, name)
				}
				return err
			})
			if err != nil || !slices.Equal(got, test.want) {
				t.Errorf("%v, written: %q, want %q", err, got, test.want)
			}
		})
	}
}
