package buildctx

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/exporter/containerimage/exptypes"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/solver/pb"
	"github.com/tonistiigi/fsutil"
	"golang.org/x/tools/txtar"

	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/lab"
)

// TestBuildKitCases builds the cases in testdata/builds on a real BuildKit and
// compares what it asks the client for with the sent set, for every local
// context. A case is a directory, and lines of its comment say what is built:
//
//	dockerfile NAME      where the Dockerfile is, Dockerfile unless said
//	target STAGE, arg K=V, platform P
//	context NAME=VALUE   a directory of the archive, or an address
//	linked NAME=FILE     another build, of that Dockerfile, to start from as target:NAME
//	image NAME TRIGGER   pushes an image with an ONBUILD trigger, as a name that
//	                     stands for NAME in the Dockerfile and in contexts
//	remote               the context is fetched: an archive of the case's files
//	unknown              images are not looked up: what is sent is not all
//
// ADDRESS stands for the URL of that archive.
func TestBuildKitCases(t *testing.T) {
	bk, err := client.New(t.Context(), lab.For(t).Address())
	if err != nil {
		t.Fatal(err)
	}
	defer bk.Close()
	names, err := filepath.Glob("testdata/builds/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			newWrittenCase(t, archive).check(t, bk)
		})
	}
}

// A writtenCase is one archive, unpacked.
type writtenCase struct {
	root    string
	def     Definition
	linked  string              // the NAME of a linked build, "" for none
	images  map[string][]string // ONBUILD triggers by image name
	unknown bool
}

func newWrittenCase(t *testing.T, archive *txtar.Archive) *writtenCase {
	c := &writtenCase{root: lab.Dir(t), images: map[string][]string{}}
	c.def = Definition{
		Name: "case", Context: c.root, Dockerfile: filepath.Join(c.root, "Dockerfile"),
		Args: map[string]string{}, NamedContexts: map[string]string{},
	}
	var links []string
	for line := range strings.Lines(string(archive.Comment)) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		if word == "linked" {
			links = append(links, rest)
			continue
		}
		c.option(word, rest)
	}
	names := c.push(t, "ADDRESS", serve(t, archive))
	for _, f := range archive.Files {
		mustWrite(t, filepath.Join(c.root, f.Name), names.Replace(string(f.Data)))
	}
	c.def.Context = names.Replace(c.def.Context)
	for as, ref := range c.def.NamedContexts {
		c.def.NamedContexts[as] = names.Replace(ref)
	}
	for _, link := range links {
		target, file, _ := strings.Cut(link, "=")
		c.linked = target
		c.def.Linked = map[string]Definition{target: {Name: target, Context: c.root, Dockerfile: filepath.Join(c.root, file)}}
		c.def.NamedContexts[target] = TargetPrefix + target
	}
	return c
}

// option applies one line of the comment, apart from "linked".
func (c *writtenCase) option(word, rest string) {
	key, value, _ := strings.Cut(rest, "=")
	switch word {
	case "dockerfile":
		c.def.Dockerfile = filepath.Join(c.root, rest)
	case "target":
		c.def.Target = rest
	case "arg":
		c.def.Args[key] = value
	case "platform":
		c.def.Platforms = append(c.def.Platforms, rest)
	case "context":
		if !strings.Contains(value, ":") {
			value = filepath.Join(c.root, value)
		}
		c.def.NamedContexts[key] = value
	case "image":
		name, trigger, _ := strings.Cut(rest, " ")
		c.images[name] = append(c.images[name], trigger)
	case "remote":
		c.def.Context = "ADDRESS/context.tar"
	case "unknown":
		c.unknown = true
	}
}

// push puts the case's images into the lab's registry, under names that no other
// case has. It returns a replacer of the case's names by these, which also makes
// the given replacements.
func (c *writtenCase) push(t *testing.T, names ...string) *strings.Replacer {
	for _, name := range slices.Sorted(maps.Keys(c.images)) {
		img, err := lab.StandIn("busybox:latest")
		if err != nil {
			t.Fatal(err)
		}
		config, err := img.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		config = config.DeepCopy()
		config.Config.OnBuild = c.images[name]
		if img, err = mutate.Config(img, config.Config); err != nil {
			t.Fatal(err)
		}
		names = append(names, name, c.pushAs(t, name, img))
	}
	return strings.NewReplacer(names...)
}

func (c *writtenCase) pushAs(t *testing.T, name string, img v1.Image) string {
	sum := sha256.Sum256([]byte(strings.Join(c.images[name], "\n")))
	ref := fmt.Sprintf("stokertest/onbuild:%x", sum[:8])
	if _, err := lab.For(t).Push(t.Context(), ref, img); err != nil {
		t.Fatal(err)
	}
	return ref
}

// serve serves the archive as a tarball for as long as the test runs.
func serve(t *testing.T, archive *txtar.Archive) (address string) {
	tarball := tarOf(t, archive)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(tarball) // a client that went away fails its own build
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// check builds the case and compares.
func (c *writtenCase) check(t *testing.T, bk *client.Client) {
	resolver := dockerfile.Resolver(builderImages{bk})
	if c.unknown {
		resolver = nil
	}
	s, err := Compute(t.Context(), c.def, resolver, func(dir string) (*Tree, string, error) {
		tree, err := Scan(t.Context(), dir, nil)
		return tree, ".", err
	})
	if err != nil {
		t.Fatal(err)
	}
	asked := newAskedFor()
	if err := c.build(t, bk, asked); err != nil {
		t.Fatal(err)
	}
	if c.unknown && len(s.Plan.Assumed) == 0 {
		t.Error("nothing is assumed of images that were not looked up")
	}
	for _, l := range s.Locals() {
		var want []string
		for f := range l.All() {
			if f.Sent {
				want = append(want, f.Path)
			}
		}
		got := asked.sorted(l.Name)
		slices.Sort(want)
		if same := cmp.Equal(got, want); same == c.unknown {
			t.Errorf("sent of %s (-BuildKit +stoker):\n%s", l.Name, cmp.Diff(got, want))
		}
		asked.mu.Lock()
		delete(asked.files, l.Name)
		asked.mu.Unlock()
	}
	for name := range asked.files {
		t.Errorf("BuildKit asks for files of %s, and stoker does not expect it", name)
	}
}

// build builds the case as buildx does, after the build that it is linked to.
func (c *writtenCase) build(t *testing.T, bk *client.Client, asked *askedFor) error {
	mounts := map[string]fsutil.FS{"dockerfile": newFS(t, filepath.Dir(c.def.Dockerfile))}
	attrs := map[string]string{
		"filename": filepath.Base(c.def.Dockerfile), "target": c.def.Target, "platform": strings.Join(c.def.Platforms, ","), "no-cache": "",
	}
	if c.def.Remote() {
		attrs["context"], attrs["dockerfilekey"] = c.def.Context, "dockerfile"
	} else {
		mounts["context"] = newFS(t, c.def.Context)
	}
	for name, value := range c.def.Args {
		attrs["build-arg:"+name] = value
	}
	local := c.def.LocalContexts()
	for name, ref := range c.def.NamedContexts {
		if dir, ok := local[name]; ok {
			mounts[name], ref = newFS(t, dir), "local:"+name
		}
		attrs["context:"+name] = ref
	}
	opt := client.SolveOpt{LocalMounts: mounts, LocalFilterOpt: asked.filter, Internal: true}
	main := gateway.SolveRequest{Frontend: "dockerfile.v0", FrontendOpt: attrs, Evaluate: true}
	solve := func(ctx context.Context, gw gateway.Client) (*gateway.Result, error) { return gw.Solve(ctx, main) }
	ctx := context.WithoutCancel(t.Context())
	if c.linked == "" {
		_, err := bk.Build(ctx, opt, "", solve, nil)
		return err
	}
	// The session of the first build stays open, since its files are requested there.
	base := c.def.Linked[c.linked]
	first := client.SolveOpt{Internal: true, LocalMounts: map[string]fsutil.FS{
		"context": newFS(t, base.Context), "dockerfile": newFS(t, filepath.Dir(base.Dockerfile)),
	}}
	_, err := bk.Build(ctx, first, "", func(ctx context.Context, gw gateway.Client) (*gateway.Result, error) {
		if err := c.link(ctx, gw, &main); err != nil {
			return nil, err
		}
		_, err := bk.Build(ctx, opt, "", solve, nil)
		return gateway.NewResult(), err
	}, nil)
	return err
}

// link builds the linked definition and makes the result an input of req.
func (c *writtenCase) link(ctx context.Context, gw gateway.Client, req *gateway.SolveRequest) error {
	attrs := map[string]string{"filename": filepath.Base(c.def.Linked[c.linked].Dockerfile), "no-cache": ""}
	res, err := gw.Solve(ctx, gateway.SolveRequest{Frontend: "dockerfile.v0", FrontendOpt: attrs})
	if err != nil {
		return err
	}
	ref, err := res.SingleRef()
	if err != nil {
		return err
	}
	state, err := ref.ToState()
	if err != nil {
		return err
	}
	def, err := state.Marshal(ctx)
	if err != nil {
		return err
	}
	metadata, err := json.Marshal(map[string][]byte{exptypes.ExporterImageConfigKey: res.Metadata[exptypes.ExporterImageConfigKey]})
	req.FrontendInputs = map[string]*pb.Definition{c.linked: def.ToPB()}
	req.FrontendOpt["context:"+c.linked] = "input:" + c.linked
	req.FrontendOpt["input-metadata:"+c.linked] = string(metadata)
	return err
}

// builderImages asks a builder for images.
type builderImages struct{ bk *client.Client }

func (b builderImages) Resolve(ctx context.Context, ref, _ string) (dockerfile.Image, error) {
	var image dockerfile.Image
	_, err := b.bk.Build(ctx, client.SolveOpt{Internal: true}, "", func(ctx context.Context, gw gateway.Client) (*gateway.Result, error) {
		_, dgst, config, err := gw.ResolveImageConfig(ctx, ref, sourceresolver.Opt{})
		image = dockerfile.Image{Digest: dgst.String(), Config: config}
		return gateway.NewResult(), err
	}, nil)
	return image, err
}

func newFS(t *testing.T, dir string) fsutil.FS {
	t.Helper()
	files, err := fsutil.NewFS(dir)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// tarOf packs the files of an archive.
func tarOf(t *testing.T, archive *txtar.Archive) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, f := range archive.Files {
		if err := w.WriteHeader(&tar.Header{Name: f.Name, Mode: 0o644, Size: int64(len(f.Data))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(f.Data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}
