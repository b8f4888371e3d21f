package image_test

import (
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stokerd/stoker/internal/image"
	"github.com/stokerd/stoker/internal/lab"
)

func TestMain(m *testing.M) { lab.Main(m) }

// exported takes files away and puts others in their place in each way that there is. What its layers
// hold and lose is worked out by hand in TestExported.
const exported = `
FROM node:20
RUN mkdir /d /s && head -c 100000 /dev/zero > /d/a && ln /d/a /d/b && echo keep > /d/keep
RUN rm -r /d && mkdir /d && echo x > /d/c && ln -s c /d/link
RUN echo longer > /d/c && echo su > /s/su && chmod 4755 /s/su
RUN rm /d/c
`

// TestExported analyses what a real BuildKit exports: whiteouts, a folder that replaces one, hard links, in each
// form and compression.
func TestExported(t *testing.T) {
	l := lab.For(t)
	buildctl, err := lab.Buildctl(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "Dockerfile"), []byte(exported))
	export := func(output string) {
		t.Helper()
		args := []string{"--addr", l.Address(), "build", "--frontend", "dockerfile.v0", "--local", "context=" + dir, "--local", "dockerfile=" + dir, "--output", output}
		if out, err := exec.CommandContext(t.Context(), buildctl, args...).CombinedOutput(); err != nil {
			t.Fatalf("export %s: %v\n%s", output, err, out)
		}
	}
	pushed := l.Registry() + "/test/exported:1"
	refs := map[string]string{"docker://" + pushed: "type=image,push=true,name=" + pushed}
	for _, how := range []string{"uncompressed", "gzip", "zstd"} {
		for _, form := range []string{"oci", "docker"} {
			file := filepath.Join(t.TempDir(), form+"."+how+".tar")
			refs[file] = "type=" + form + ",compression=" + how + ",force-compression=true,dest=" + file
		}
	}
	folder := filepath.Join(t.TempDir(), "layout")
	refs["oci:"+folder] = "type=oci,oci-mediatypes=false,tar=false,dest=" + folder
	// Files, bytes and those hidden later, of the layers above the base.
	want := []counted{{3, 100_005, 100_005}, {2, 2, 2}, {2, 10, 7}, {0, 0, 0}}
	for ref, output := range refs {
		export(output)
		a, err := open(t, ref, image.OpenOptions{}, options(t, image.NoSecrets))
		if err != nil {
			t.Errorf("%s: %v", output, err)
			continue
		}
		got := of(a)
		if layers := got.Layers[max(0, len(got.Layers)-len(want)):]; !cmp.Equal(layers, want) || got.Hidden != 100_014 {
			t.Errorf("%s: hidden %d, layers %+v; want %d and %+v", output, got.Hidden, layers, 100_014, want)
		}
		if !slices.Contains(got.SetID, "s/su") {
			t.Errorf("%s: set-uid %q", output, got.SetID)
		}
	}
}
