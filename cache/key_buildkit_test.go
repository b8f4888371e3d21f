package cache_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/moby/buildkit/client"
	"github.com/tonistiigi/fsutil"
	"golang.org/x/sync/errgroup"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/cache/buildkit"
	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/lab"
	"github.com/stokerd/stoker/internal/randtest"
)

// TestKeysAreBuildKits builds definitions that are made at random with BuildKit's
// own client, and looks for each key that was computed in the builder's cache.
func TestKeysAreBuildKits(t *testing.T) {
	b := newKeyBuilder(t)
	var drawns []*drawn
	var group errgroup.Group
	group.SetLimit(4)
	for seed := range randtest.Seeds(t, 100, 2000) {
		d := draw(t, seed, b.remote)
		drawns = append(drawns, d)
		group.Go(func() (err error) {
			d.failed, err = b.build(t.Context(), d)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	db := readCacheDB(t, b.lab.CacheDB())
	var seen tally
	for _, d := range drawns {
		seen.check(t, b, d, db)
	}
	t.Logf("%d definitions: %+v", len(drawns), seen)
	if seen.Found < seen.Ops/2 || seen.Missed < seen.Found/10 || seen.Texts == 0 {
		t.Errorf("too little is compared: %+v", seen)
	}
}

// A tally counts operations.
type tally struct {
	Ops      int // but for local files
	Found    int
	PerBuild int // in a stage FROM files, or of it
	Missed   int // whose files were changed, so that they must not be found
	Failed   int // builds that failed, on files that have no digest
	Texts    int // of heredocs, whose digests lead on
}

// check looks for the keys of d's plan in db, and for those of other files.
func (seen *tally) check(t *testing.T, b *keyBuilder, d *drawn, db *cacheDB) {
	t.Helper()
	plan, err := dockerfile.Convert(t.Context(), d.input(), b)
	if err != nil {
		t.Fatal(err)
	}
	sent := contents(t, plan, map[string]string{"context": d.dir, "other": d.named})
	// The key of a step in a stage of files is made for one build, whatever it takes.
	unread := false
	keys := cache.Keys(plan.Ops, func(request int, selected []dockerfile.Selector) (string, error) {
		digest, err := sent(request, selected)
		unread = unread || err != nil
		return digest, err
	})
	if d.failed != nil {
		seen.Failed++
		if !unread {
			t.Errorf("all files have digests in a build that failed: %v\n%s", d.failed, d.text.String())
		}
		return
	}
	found := db.find(plan.Ops, keys)
	for i, op := range plan.Ops {
		if op.Source != nil && op.Source.Kind == dockerfile.LocalSource {
			continue
		}
		seen.Ops++
		if keys[i].Reason == cache.PerBuild {
			seen.PerBuild++
			continue
		}
		seen.Found++
		if keys[i].ID == "" || len(found[i]) == 0 || len(op.Inputs) == 0 && !db.results[keys[i].ID] {
			t.Errorf("operation %d of %v is not in the builder's cache: key %+v\n%+v\n%s", i, op.Steps, keys[i], op, d.text.String())
			return
		}
	}
	changed := cache.Keys(plan.Ops, func(request int, selected []dockerfile.Selector) (string, error) {
		digest, err := sent(request, selected)
		return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(digest))), err
	})
	found = db.find(plan.Ops, changed)
	for i := range plan.Ops {
		for n, in := range changed[i].Inputs {
			if text := plan.Ops[i].Inputs[n].Digest; text != "" {
				seen.Texts++
				if !db.leads(in.Content, n, plan.Ops[i]) {
					t.Errorf("the text of input %d of operation %d has another digest\n%s", n, i, d.text.String())
				}
				continue
			}
			if in.Content == "" {
				continue
			}
			seen.Missed++
			if len(found[i]) > 0 {
				t.Errorf("operation %d is found whatever files it takes\n%s", i, d.text.String())
			}
		}
	}
}

// A keyBuilder is a builder of the test's own: others would prune.
type keyBuilder struct {
	lab     *lab.Lab
	client  *client.Client
	builder *buildkit.Builder
	remote  remote

	mu     sync.Mutex // guards images
	images map[string]dockerfile.Image
}

func newKeyBuilder(t *testing.T) *keyBuilder {
	t.Helper()
	b := &keyBuilder{lab: lab.Own(t), images: map[string]dockerfile.Image{}}
	var err error
	if b.client, err = client.New(t.Context(), b.lab.Address()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.client.Close() })
	env := buildkit.Env{Getenv: func(string) string { return "" }, Home: t.TempDir(), OS: "linux", UID: -1}
	if b.builder, err = buildkit.Connect(t.Context(), env, b.lab.Address()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.builder.Close() })
	b.remote = serve(t)
	return b
}

// A remote is what definitions may download.
type remote struct {
	file, sum        string // an address, and the checksum of what it gives
	repository, head string // an address, and its commit
}

func serve(t *testing.T) remote {
	t.Helper()
	const text = "downloaded"
	dir := t.TempDir()
	git := func(arg ...string) string {
		cmd := exec.CommandContext(t.Context(), "git", append([]string{"-C", dir, "-c", "user.name=a", "-c", "user.email=a@b"}, arg...)...)
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("git %s: %v", arg[0], err)
		}
		return strings.TrimSpace(string(out))
	}
	git("init", "-q", "r.git")
	dir = filepath.Join(dir, "r.git")
	for _, name := range []string{"top", "sub/below"} {
		name = filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	git("add", ".")
	git("commit", "-qm", "one")
	mux := http.NewServeMux()
	mux.HandleFunc("/dir/file.txt", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) })
	mux.Handle("/r.git/", &cgi.Handler{
		Path: filepath.Join(git("--exec-path"), "git-http-backend"),
		Env:  []string{"GIT_PROJECT_ROOT=" + filepath.Dir(dir), "GIT_HTTP_EXPORT_ALL=1"},
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return remote{
		file: server.URL + "/dir/file.txt", sum: fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(text))),
		repository: server.URL + "/r.git", head: git("rev-parse", "HEAD"),
	}
}

// Resolve asks the builder, once for each image.
func (b *keyBuilder) Resolve(ctx context.Context, ref, platform string) (dockerfile.Image, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	id := ref + " " + platform
	if image, ok := b.images[id]; ok {
		return image, nil
	}
	digest, config, err := b.builder.ResolveConfig(ctx, ref, platform)
	if err != nil {
		return dockerfile.Image{}, err
	}
	b.images[id] = dockerfile.Image{Digest: digest, Config: config}
	return b.images[id], nil
}

func (d *drawn) input() dockerfile.Input {
	return dockerfile.Input{
		Dockerfile: "Dockerfile", Text: []byte(d.text.String()), Context: d.dir, Target: d.target, Args: d.args,
		Platforms: d.platforms, NamedContexts: map[string]string{"other": d.named},
	}
}

// build builds d as any client would. failed is the build's own error.
func (b *keyBuilder) build(ctx context.Context, d *drawn) (failed, err error) {
	attrs := map[string]string{
		"filename": "Dockerfile", "target": d.target, "platform": strings.Join(d.platforms, ","), "context:other": "local:other",
	}
	for name, value := range d.args {
		attrs["build-arg:"+name] = value
	}
	mounts := map[string]fsutil.FS{}
	for name, dir := range map[string]string{"context": d.dir, "other": d.named, "dockerfile": d.dockerfile} {
		files, err := fsutil.NewFS(dir)
		if err != nil {
			return nil, err
		}
		mounts[name] = files
	}
	_, failed = b.client.Solve(ctx, nil, client.SolveOpt{
		Frontend: "dockerfile.v0", FrontendAttrs: attrs, LocalMounts: mounts, SharedKey: d.dir,
	}, nil)
	return failed, ctx.Err()
}
