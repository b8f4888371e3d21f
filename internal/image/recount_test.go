package image_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sort"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stokerd/stoker/internal/image"
	"github.com/stokerd/stoker/internal/randtest"
)

// recount is what an image holds, counted in the plainest way.
type recount struct {
	Layers []counted
	Files  int
	Bytes  int64 // that a container sees
	Hidden int64
	SetID  []string
}

type counted struct {
	Files         int
	Bytes, Hidden int64
}

func of(a *image.Analysis) recount {
	r := recount{Files: a.Files, Bytes: a.Visible, Hidden: a.Hidden}
	for _, l := range a.Layers {
		r.Layers = append(r.Layers, counted{l.Files, l.Unpacked, l.Hidden})
	}
	for _, f := range a.SetID {
		r.SetID = append(r.SetID, f.Path)
	}
	return r
}

// inode is a file's content, which may have several names.
type inode struct {
	layer int
	size  int64
	// none: a link leads to it that an engine would refuse
	none bool
}

// named is what a name of the image stands for: a directory, or a file.
type named struct {
	node *inode
	dir  bool
	mode int64
}

// A counter counts layers in the plainest way: with one map of names, cleared by
// comparing every name with what takes it away.
type counter struct {
	root   map[string]named
	inodes []*inode
	layers []counted
}

// plainly counts what an image of the given layers holds.
func plainly(t *testing.T, layers [][]byte) recount {
	t.Helper()
	c := counter{root: map[string]named{}}
	for _, data := range layers {
		c.add(headers(t, data))
	}
	return c.recount()
}

// headers returns the entries of a layer, by cleaned names.
func headers(t *testing.T, layer []byte) []*tar.Header {
	t.Helper()
	var list []*tar.Header
	for reader := tar.NewReader(bytes.NewReader(layer)); ; {
		h, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		h.Name = strings.Trim(h.Name, "/")
		list = append(list, h)
	}
}

// add lays a layer over those before. Its whiteouts come first: they concern only what is
// below, wherever they stand.
func (c *counter) add(layer []*tar.Header) {
	for _, h := range layer {
		dir, base := filepath.Split(h.Name)
		if base == ".wh..wh..opq" {
			c.remove(strings.TrimSuffix(dir, "/"), false)
		} else if gone, ok := strings.CutPrefix(base, ".wh."); ok {
			c.remove(dir+gone, true)
		}
	}
	number := len(c.layers)
	c.layers = append(c.layers, counted{})
	for _, h := range layer {
		if !strings.HasPrefix(filepath.Base(h.Name), ".wh.") {
			c.put(number, h)
		}
	}
}

// remove takes away what is below a name and, with self, the name.
func (c *counter) remove(name string, self bool) {
	for other := range c.root {
		if self && other == name || strings.HasPrefix(other, name+"/") || name == "" && other != "" {
			delete(c.root, other)
		}
	}
}

// put adds an entry of a layer, which replaces what has its name or is a file on the way
// to it.
func (c *counter) put(layer int, h *tar.Header) {
	for parent := filepath.Dir(h.Name); parent != "."; parent = filepath.Dir(parent) {
		if there, ok := c.root[parent]; ok && !there.dir {
			delete(c.root, parent)
		}
	}
	if h.Typeflag == tar.TypeDir {
		c.root[h.Name] = named{dir: true}
		return
	}
	c.layers[layer].Files++
	target, linked := c.root[h.Linkname] // before its own name goes
	c.remove(h.Name, true)
	var node *inode
	switch {
	case h.Typeflag != tar.TypeLink:
		c.layers[layer].Bytes += h.Size
		node = &inode{layer: layer, size: h.Size}
		c.inodes = append(c.inodes, node)
	case linked && target.node != nil:
		node = target.node
	default:
		node = &inode{layer: layer, none: true}
	}
	c.root[h.Name] = named{node: node, mode: h.Mode}
}

func (c *counter) recount() recount {
	r := recount{Layers: c.layers}
	seen := map[*inode]bool{}
	for name, f := range c.root {
		if f.dir {
			continue
		}
		r.Files++
		if f.mode&0o6000 != 0 && f.mode&0o111 != 0 && !f.node.none {
			r.SetID = append(r.SetID, name)
		}
		if !seen[f.node] {
			seen[f.node] = true
			r.Bytes += f.node.size
		}
	}
	for _, node := range c.inodes {
		if !seen[node] {
			r.Layers[node.layer].Hidden += node.size
			r.Hidden += node.size
		}
	}
	sort.Strings(r.SetID)
	return r
}

// draw makes a random image out of few names, so that they meet.
func draw(seed uint64) [][]file {
	rnd := rand.New(rand.NewPCG(seed, 7))
	names := []string{"a", "b", "c", "a/b", "a/c", "a/b/c", "a/b/d", "b/c", "b/c/d", "c/a", "d/a/b/c"}
	layers := make([][]file, 1+rnd.IntN(5))
	for n := range layers {
		used := map[string]bool{}
		for range rnd.IntN(8) {
			name := names[rnd.IntN(len(names))]
			dir, base := filepath.Split(name)
			f := file{name: name, body: strings.Repeat("x", rnd.IntN(9)), mode: []int64{0o644, 0o755, 0o4755, 0o2711, 0o4644}[rnd.IntN(5)]}
			switch rnd.IntN(8) {
			case 0, 1:
				f = file{name: name + "/"}
			case 2:
				f = file{name: name + " => " + names[rnd.IntN(len(names))], mode: f.mode}
			case 3:
				if n > 0 {
					f = file{name: dir + ".wh." + base}
				}
			case 4:
				if n > 0 {
					f = file{name: name + "/.wh..wh..opq"}
				}
			}
			if key := strings.TrimSuffix(f.name, "/"); !used[key] {
				used[key] = true
				layers[n] = append(layers[n], f)
			}
		}
	}
	return layers
}

func TestLayersEqualARecount(t *testing.T) {
	for seed := range randtest.Seeds(t, 300, 20000) {
		drawn := draw(seed)
		p := picture{compression: []string{"none", "gzip", "zstd"}[seed%3]}
		for _, files := range drawn {
			p.layers = append(p.layers, pack(t, files...))
		}
		a := analyse(t, one(t, p).tar(t), options(t, image.NoSecrets))
		if diff := cmp.Diff(plainly(t, p.layers), of(a)); diff != "" {
			t.Fatalf("layers %v\n(-want +got)\n%s", drawn, diff)
		}
	}
}

// handmade is an image with all that is special in layers, in an order that tar itself can extract.
func handmade() [][]file {
	return [][]file{
		{
			{name: "bin/"}, {name: "bin/su", body: body(900), mode: 0o4755}, {name: "bin/wall", body: body(300), mode: 0o2755}, {name: "bin/sh -> su"},
			{name: "data/"}, {name: "data/one", body: body(1000)}, {name: "data/two => data/one"}, {name: "data/sub/"}, {name: "data/sub/three", body: body(500)},
			{name: "opq/"}, {name: "opq/old", body: body(700)}, {name: "opq/deep/"}, {name: "opq/deep/old", body: body(70)},
			{name: "tmp/", mode: 0o1777}, {name: "tmp/cache", body: body(4000)}, {name: "name with space\n", body: body(3)},
		},
		{
			{name: "data/.wh.one"}, {name: "data/sub/three", body: body(600)}, {name: "opq/"}, {name: "opq/.wh..wh..opq"}, {name: "opq/new", body: body(20)},
			{name: "tmp/.wh.cache"}, {name: "bin/su", body: body(900), mode: 0o755},
		},
		{
			{name: ".wh.data"}, {name: "bin/wall2 => bin/wall", mode: 0o2755}, {name: "tmp", body: body(5)}, {name: "sub -> opq"},
		},
		{{name: "bin/.wh.wall"}},
	}
}

// What a container sees is what the layers leave on a disk: extracted by tar, one over the other.
func TestLayersEqualWhatTarExtracts(t *testing.T) {
	if os.Geteuid() != 0 || runtime.GOOS != "linux" {
		t.Skip("extracting set-uid files takes root, and GNU tar")
	}
	var p picture
	p.compression = "zstd"
	dir := t.TempDir()
	for _, files := range handmade() {
		data := pack(t, files...)
		p.layers = append(p.layers, data)
		whiteouts(t, dir, files)
		cmd := exec.Command("tar", "-xp", "--overwrite", "--recursive-unlink", "--exclude=.wh.*", "-C", dir)
		cmd.Stdin = bytes.NewReader(data)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("tar: %v\n%s", err, out)
		}
	}
	want := recount{}
	seen := map[uint64]bool{}
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		want.Files++
		if info.Mode()&(fs.ModeSetuid|fs.ModeSetgid) != 0 {
			rel, _ := filepath.Rel(dir, name)
			want.SetID = append(want.SetID, rel)
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		if !ok {
			return errors.New("no inode")
		}
		if info.Mode().IsRegular() && !seen[st.Ino] {
			seen[st.Ino] = true
			want.Bytes += info.Size()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	a := analyse(t, one(t, p).tar(t), options(t, image.NoSecrets))
	got := of(a)
	for i, data := range p.layers {
		want.Layers = append(want.Layers, counted{got.Layers[i].Files, listed(t, data), got.Layers[i].Hidden})
	}
	want.Hidden = got.Hidden
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-extracted +got)\n%s", diff)
	}
	if a.Unpacked-a.Hidden != want.Bytes {
		t.Errorf("%d bytes less %d hidden ones are not %d", a.Unpacked, a.Hidden, want.Bytes)
	}
}

// whiteouts removes what a layer takes away, with the shell's means.
func whiteouts(t *testing.T, dir string, files []file) {
	t.Helper()
	for _, f := range files {
		parent, base := filepath.Split(filepath.Join(dir, f.name))
		var cmd *exec.Cmd
		if base == ".wh..wh..opq" {
			cmd = exec.Command("find", parent, "-mindepth", "1", "-delete")
		} else if gone, ok := strings.CutPrefix(base, ".wh."); ok {
			cmd = exec.Command("rm", "-rf", filepath.Join(parent, gone))
		} else {
			continue
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
}

// listed sums the sizes that `tar -tv` prints.
func listed(t *testing.T, data []byte) int64 {
	t.Helper()
	cmd := exec.Command("tar", "-tv")
	cmd.Stdin = bytes.NewReader(data)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var sum int64
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		var n int64
		if _, err := fmt.Sscan(fields[2], &n); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if strings.HasPrefix(line, "-") {
			sum += n
		}
	}
	return sum
}

// Sparse and huge files count as large as they unpack, and cost what they hold.
func TestSparseFiles(t *testing.T) {
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, "disk.img"))
	if err != nil {
		t.Fatal(err)
	}
	const huge = 1 << 40
	if err := errors.Join(f.Truncate(huge), f.Close()); err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"gnu", "posix"} {
		cmd := exec.Command("tar", "-c", "--sparse", "--format="+format, "-C", dir, "disk.img")
		data, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		a := analyse(t, one(t, picture{layers: [][]byte{data}}).tar(t), options(t, image.AllSecrets))
		if a.Unpacked != huge || a.Visible != huge || len(a.Biggest) != 1 || a.Biggest[0].Size != huge {
			t.Errorf("%s: unpacked %d, visible %d, biggest %v", format, a.Unpacked, a.Visible, a.Biggest)
		}
		if got := listed(t, data); got != a.Unpacked {
			t.Errorf("%s: tar lists %d", format, got)
		}
	}
}

// Where an image comes from makes no difference, but for what a place does not tell.
func TestSourcesAgree(t *testing.T) {
	for _, compression := range []string{"none", "gzip", "zstd"} {
		p := picture{compression: compression}
		for _, files := range handmade() {
			p.layers = append(p.layers, pack(t, files...))
		}
		l := one(t, p)
		dir := l.dir(t)
		file := write(t, filepath.Join(t.TempDir(), "a:b.tar"), l.tar(t))
		packed := write(t, filepath.Join(t.TempDir(), "image.tar.gz"), squeeze(t, "gzip", l.tar(t)))
		docker := write(t, filepath.Join(t.TempDir(), "docker.tar"), dockerTar(t, p))
		want := plainly(t, p.layers)
		refs := []string{dir, "oci:" + dir, file, "oci-archive:" + file, packed, "oci-archive:" + packed, docker, "docker-archive:" + docker, "docker-archive:" + docker + ":shop:latest"}
		for _, ref := range refs {
			a, err := open(t, ref, image.OpenOptions{}, options(t, image.NoSecrets))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, of(a)); diff != "" {
				t.Errorf("%s (-want +got)\n%s", ref, diff)
			}
			if !slices.Equal(a.Platforms, []string{"linux/amd64"}) {
				t.Errorf("%s: platforms %v", ref, a.Platforms)
			}
		}
	}
}
