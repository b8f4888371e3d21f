package buildkit_test

import (
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/buildkit/client"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/cache/buildkit"
	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/lab"
)

// project writes a context that no other test has met.
func project(t *testing.T, dockerfile string) (dir string, d buildctx.Definition) {
	t.Helper()
	dir = lab.Dir(t)
	for name, text := range map[string]string{"Dockerfile": dockerfile, "deps": rand.Text(), "src": rand.Text()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir, buildctx.Definition{Name: "app", Context: dir, Dockerfile: filepath.Join(dir, "Dockerfile")}
}

func outcomes(r cache.Record) string {
	var all []string
	for _, s := range r.Steps {
		all = append(all, string(s.Outcome))
	}
	return strings.Join(all, " ")
}

const (
	depsPart = "FROM busybox\nARG MODE\nCOPY deps /deps\nRUN cat /deps && echo $MODE\n"
	fullFile = depsPart + "COPY src /src\nRUN cat /src\n"
)

func TestWarmFull(t *testing.T) {
	b, c := connect(t), otherClient(t)
	dir, d := project(t, fullFile)
	d.Args = map[string]string{"MODE": canary}
	var last buildkit.Progress
	err := b.Warm(t.Context(), buildkit.Request{
		Definition: d, Dockerfile: []byte(fullFile),
		Progress: func(p buildkit.Progress) { last = p },
	})
	if err != nil {
		t.Fatal(err)
	}
	if last.Completed < 5 || last.Completed > last.Known {
		t.Errorf("progress ended as %+v", last)
	}
	ref, err := build(t.Context(), t, c, dir, map[string]string{"build-arg:MODE": canary}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := outcomes(observe(t, b, ref).Record); got != "hit hit hit hit" {
		t.Errorf("the build after warming: %s", got)
	}
}

// The text around a step is not part of its key: a Dockerfile that was cut off
// warms the steps that it has.
func TestWarmTruncated(t *testing.T) {
	b, c := connect(t), otherClient(t)
	dir, d := project(t, fullFile)
	if err := b.Warm(t.Context(), buildkit.Request{Definition: d, Dockerfile: []byte(depsPart)}); err != nil {
		t.Fatal(err)
	}
	ref, err := build(t.Context(), t, c, dir, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := outcomes(observe(t, b, ref).Record); got != "hit hit executed cascaded" {
		t.Errorf("the build after warming: %s", got)
	}
	// Another text of the same size must not be taken for the same file.
	cut := strings.Replace(fullFile, "cat /src", "wc  /src", 1)
	if err := b.Warm(t.Context(), buildkit.Request{Definition: d, Dockerfile: []byte(cut)}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(cut), 0o644); err != nil {
		t.Fatal(err)
	}
	if ref, err = build(t.Context(), t, c, dir, nil, nil); err != nil {
		t.Fatal(err)
	}
	if got := outcomes(observe(t, b, ref).Record); got != "hit hit hit hit" {
		t.Errorf("the build after warming the changed text: %s", got)
	}
}

// Whatever stoker asks of the builder is internal: it may never count as a build.
func TestNotInHistory(t *testing.T) {
	b, c := connect(t), otherClient(t)
	dir, d := project(t, fullFile)
	before := refs(t, b, c, dir)
	if err := b.Warm(t.Context(), buildkit.Request{Definition: d, Dockerfile: []byte(fullFile)}); err != nil {
		t.Fatal(err)
	}
	if err := b.PullBase(t.Context(), "busybox", ""); err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.ResolveConfig(t.Context(), "busybox", "linux/amd64"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Worker(t.Context()); err != nil {
		t.Fatal(err)
	}
	after := refs(t, b, c, dir)
	for ref := range after {
		// Builds of other tests have refs of their own making.
		if !before[ref] && !strings.HasPrefix(ref, "test") {
			t.Errorf("build %s is in the history", ref)
		}
	}
}

// refs returns the builds in the history, up to one that is made for the
// purpose: what came before it is then in there.
func refs(t *testing.T, b *buildkit.Builder, c *client.Client, dir string) map[string]bool {
	t.Helper()
	marker, err := build(t.Context(), t, c, dir, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	completion(t, b, marker)
	all := map[string]bool{}
	err = b.Watch(t.Context(), func(ev buildkit.Event) error {
		all[ev.Ref] = true
		if ev.Ref == marker {
			return errFound
		}
		return nil
	})
	if !errors.Is(err, errFound) {
		t.Fatal(err)
	}
	return all
}

func TestWarmErrorHoldsNoValues(t *testing.T) {
	b := connect(t)
	_, d := project(t, "")
	d.Args = map[string]string{"TOKEN": canary}
	for _, test := range []struct{ name, dockerfile, want string }{
		{"run", "FROM busybox\nARG TOKEN\nRUN echo " + rand.Text() + " $TOKEN && exit 9\n", "[2/2] RUN failed, exit code 9"},
		{"copy", "FROM busybox\nARG TOKEN\nCOPY $TOKEN /x\n", "[2/2] COPY failed, not found"},
		{"parse", "FROM busybox\nFOO\n", "build failed, the Dockerfile does not parse at line 2"},
		{"base", "ARG TOKEN\nFROM no-such-$TOKEN\n", "could not load the metadata of a base image, not found"},
		{"entitlement", "FROM busybox\nRUN --security=insecure true\n", "build failed, security.insecure is not allowed"},
		{"target", "FROM busybox\nRUN true\n", "build failed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := buildkit.Request{Definition: d, Dockerfile: []byte(test.dockerfile)}
			if test.name == "target" {
				r.Target = canary
			}
			err := b.Warm(t.Context(), r)
			var solve *buildkit.SolveError
			if !errors.As(err, &solve) || err.Error() != test.want {
				t.Errorf("error %q, want %q", err, test.want)
			}
			if solve != nil && solve.Unavailable() {
				t.Error("the builder counts as unavailable")
			}
		})
	}
}

// pushUnique pushes an image with a layer that no other test has pulled.
func pushUnique(t *testing.T) (ref string) {
	t.Helper()
	img, err := lab.StandIn("busybox:latest")
	if err != nil {
		t.Fatal(err)
	}
	tag := "pull-" + strings.ToLower(rand.Text())
	if img, err = lab.WithFiles(img, map[string]string{"unique": tag}); err != nil {
		t.Fatal(err)
	}
	ref = "stokertest/base:" + tag
	if _, err := lab.For(t).Push(t.Context(), ref, img); err != nil {
		t.Fatal(err)
	}
	return ref
}

// pulled returns how many bytes of ref the builder holds.
func pulled(t *testing.T, ref string) (bytes int64) {
	t.Helper()
	usage, err := otherClient(t).DiskUsage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range usage {
		if strings.Contains(u.Description, "pulled from docker.io/"+ref) {
			bytes += u.Size
		}
	}
	return bytes
}

func TestPullBase(t *testing.T) {
	b := connect(t)
	ref := pushUnique(t)
	digest, config, err := b.ResolveConfig(t.Context(), ref, "")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(digest, "sha256:") || !strings.Contains(string(config), `"rootfs"`) {
		t.Errorf("resolved to %s with config %s", digest, config)
	}
	_, d := project(t, "")
	if err := b.Warm(t.Context(), buildkit.Request{Definition: d, Dockerfile: []byte("FROM " + ref + "\n")}); err != nil {
		t.Fatal(err)
	}
	if n := pulled(t, ref); n != 0 {
		t.Errorf("FROM alone pulled %d bytes: PullBase could be simpler", n)
	}
	if err := b.PullBase(t.Context(), ref, ""); err != nil {
		t.Fatal(err)
	}
	if pulled(t, ref) == 0 {
		t.Errorf("the builder's disk holds no bytes of %s", ref)
	}
	err = b.PullBase(t.Context(), "no-such-image:1", "")
	if err == nil || !strings.Contains(err.Error(), "pull no-such-image:1") {
		t.Errorf("pulling what does not exist: %v", err)
	}
}

// The builder of the lab is of the version that is linked in, on this machine.
func TestWorker(t *testing.T) {
	if w, err := connect(t).Worker(t.Context()); err != nil || !w.Equal(dockerfile.Worker{}) {
		t.Errorf("it converts as %+v, %v; want the zero Worker", w, err)
	}
}
