package verify_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	containerd "github.com/containerd/containerd/v2/pkg/archive"
	"github.com/google/go-cmp/cmp"
	"github.com/moby/buildkit/client"
	"github.com/tonistiigi/fsutil"
	"golang.org/x/sys/unix"

	"github.com/stokerd/stoker/cache/buildkit"
	"github.com/stokerd/stoker/internal/lab"
	"github.com/stokerd/stoker/internal/randtest"
	"github.com/stokerd/stoker/internal/verify"
)

// extract has containerd, which unpacks images for Docker and Kubernetes, apply
// layers to a folder, and lists that as [listing] does.
func extract(t *testing.T, layers ...[]byte) (string, error) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("owners and devices take root")
	}
	dir := t.TempDir()
	defer syscall.Umask(syscall.Umask(0o022))
	for i, l := range layers {
		if _, err := containerd.Apply(t.Context(), dir, bytes.NewReader(l)); err != nil {
			return "", fmt.Errorf("layer %d: %w", i+1, err)
		}
	}
	type file struct {
		path, line string
		inode      uint64
	}
	var files []file
	names := map[uint64][]string{}
	err := filepath.WalkDir(dir, func(name string, _ fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(dir, name)
		if err != nil || rel == "." {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(name, &st); err != nil {
			return err
		}
		line, err := describe(name, rel, st)
		files = append(files, file{rel, line, st.Ino})
		names[st.Ino] = append(names[st.Ino], rel)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(files, func(a, b file) int { return strings.Compare(a.path, b.path) })
	var b strings.Builder
	for _, f := range files {
		same := names[f.inode]
		slices.Sort(same)
		same = slices.DeleteFunc(slices.Clone(same), func(s string) bool { return s == f.path })
		if len(same) > 0 {
			f.line += " = " + same[0]
		}
		b.WriteString(f.line + "\n")
	}
	return b.String(), nil
}

func describe(name, rel string, st unix.Stat_t) (string, error) {
	mode := st.Mode & 0o7777
	line := func(letter string, mode uint32, beside string) string {
		return strings.TrimSuffix(fmt.Sprintf("%s %04o %d:%d %s %s", letter, mode, st.Uid, st.Gid, rel, beside), " ")
	}
	device := fmt.Sprintf("%d:%d", unix.Major(st.Rdev), unix.Minor(st.Rdev))
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		text, err := os.ReadFile(name)
		sum := sha256.Sum256(text)
		return line("-", mode, fmt.Sprintf("%d %x", len(text), sum[:4])), err
	case unix.S_IFDIR:
		return line("d", mode, ""), nil
	case unix.S_IFLNK:
		to, err := os.Readlink(name)
		return line("l", 0, "-> "+to), err
	case unix.S_IFCHR:
		return line("c", mode, device), nil
	case unix.S_IFBLK:
		return line("b", mode, device), nil
	case unix.S_IFIFO:
		return line("p", mode, ""), nil
	}
	return "", errors.New("unknown type")
}

// plain leaves out what the oracle's file system may not hold.
func plain(list string) string { return strings.ReplaceAll(list, " user.note", "") }

func TestLayersAsContainerd(t *testing.T) {
	for _, s := range scenarios(t) {
		if _, ok := s.sections["spec"]; ok {
			continue // it says why
		}
		t.Run(s.name, func(t *testing.T) {
			got, err := extract(t, s.layers...)
			if _, fails := s.sections["error"]; fails {
				if err == nil {
					t.Errorf("containerd makes\n%s", got)
				}
				return
			}
			if diff := cmp.Diff(plain(s.sections["want"]), got); diff != "" || err != nil {
				t.Errorf("%v, files (-want +containerd):\n%s", err, diff)
			}
		})
	}
}

// Layers drawn at random make what containerd makes of them, where it does.
func TestRandomLayersAsContainerd(t *testing.T) {
	made, tried := 0, 0
	for seed := range randtest.Seeds(t, 100, 20_000) {
		rng := rand.New(rand.NewPCG(seed, 0))
		var layers [][]byte
		var text []string
		var want string
		tried++
		wantErr := errors.New("none is drawn")
		for n := 0; n < 3 && wantErr != nil; n++ { // one in five can be made
			layers, text = nil, nil
			for range 1 + rng.IntN(4) {
				text = append(text, randomLayer(rng))
				layers = append(layers, pack(t, members(t, text[len(text)-1])))
			}
			want, wantErr = extract(t, layers...)
		}
		image, err := readOne(t, archive(t, amd64, layers...))
		if wantErr != nil {
			continue // it may fail once all is in place: on the times of a folder that is one no more
		}
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, strings.Join(text, "--\n"))
		}
		made++
		if diff := cmp.Diff(want, listing(image)); diff != "" {
			t.Fatalf("seed %d: files (-containerd +got):\n%s\n%s", seed, diff, strings.Join(text, "--\n"))
		}
	}
	if made < tried/10 {
		t.Errorf("%d of %d images can be made: this shows little", made, tried)
	}
}

// randomLayer draws a layer, whiteouts first: one behind what its own layer puts
// there is where containerd and the specification differ.
func randomLayer(rng *rand.Rand) string {
	names := []string{"a", "b", "c", "d"}
	path := func() string {
		parts := []string{names[rng.IntN(4)]}
		for range rng.IntN(3) {
			parts = append(parts, names[rng.IntN(4)])
		}
		return strings.Join(parts, "/")
	}
	var b strings.Builder
	for range rng.IntN(3) {
		dir, base := filepath.Split(path())
		fmt.Fprintf(&b, "- 644 0:0 %s.wh.%s\n", dir, base)
	}
	for range 1 + rng.IntN(6) {
		owner := fmt.Sprintf("%d:%d", rng.IntN(3), rng.IntN(3))
		switch rng.IntN(6) {
		case 0, 1:
			fmt.Fprintf(&b, "d %o %s %s\n", 0o700+rng.IntN(2)*0o55, owner, path())
		case 2, 3:
			fmt.Fprintf(&b, "- %o %s %s %d\n", 0o600+rng.IntN(2)*0o44, owner, path(), rng.IntN(9))
		case 4:
			to := path()
			if rng.IntN(2) == 0 {
				to = strings.Repeat("../", rng.IntN(3)) + to
			} else {
				to = "/" + to
			}
			fmt.Fprintf(&b, "l 777 %s %s %s\n", owner, path(), to)
		case 5:
			fmt.Fprintf(&b, "h 644 %s %s %s\n", owner, path(), path())
		}
	}
	return b.String()
}

// BuildKit's own tar exporter mounts the image and walks it. What it finds is
// what we find in the layers.
func TestImageAsBuildKitMountsIt(t *testing.T) {
	text := "FROM " + capable(t) + "\n"
	for _, trap := range traps {
		text += trap.before + "\n"
	}
	def := project(t, text)
	var image verify.Image
	err := connect(t).Export(t.Context(), buildkit.Request{Definition: def, Dockerfile: []byte(text)}, func(r io.Reader) error {
		list, err := verify.Read(t.Context(), r)
		if err == nil {
			image = list[0]
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	want := mounted(t, def.Context)
	if diff := cmp.Diff(want, listing(image)); diff != "" {
		t.Errorf("files (-BuildKit +got):\n%s", diff)
	}
	if len(image.Files) < 100 {
		t.Errorf("%d files show nothing", len(image.Files))
	}
}

// mounted builds a folder and lists what the tar exporter sends.
func mounted(t *testing.T, dir string) string {
	t.Helper()
	c, err := client.New(t.Context(), lab.For(t).Address())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	local, err := fsutil.NewFS(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	_, err = c.Solve(t.Context(), nil, client.SolveOpt{
		Frontend: "dockerfile.v0", LocalMounts: map[string]fsutil.FS{"context": local, "dockerfile": local},
		Exports: []client.ExportEntry{{
			Type:   client.ExporterTar,
			Output: func(map[string]string) (io.WriteCloser, error) { return nopCloser{&out}, nil },
		}},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	// One layer that holds everything.
	image, err := readOne(t, archive(t, amd64, out.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	members := 0
	for in := tar.NewReader(&out); ; members++ {
		if _, err := in.Next(); err != nil {
			break
		}
	}
	if members != len(image.Files) {
		t.Errorf("BuildKit sends %d files, %d were read", members, len(image.Files))
	}
	return listing(image)
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }
