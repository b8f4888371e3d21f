package daemon_test

import (
	"crypto/rand"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/buildkit/client"
	"github.com/tonistiigi/fsutil"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/lab"
)

// TestLearnsBuilds checks that a build which no file declares becomes a definition, and that
// this outlives the daemon. The values of its args do not, unless the builder still has the
// build.
func TestLearnsBuilds(t *testing.T) {
	root := repository(t, map[string]string{
		"compose.yaml":   "services: {web: {build: web}}\n",
		"web/Dockerfile": "FROM scratch\nCOPY index.html /\n",
		"web/index.html": "1",
		// A plain client's build is matched by its text, so that of no other test may be
		// the same.
		"tools/Dockerfile":  "FROM scratch AS debug\nARG TOKEN\nCOPY tools/${TOKEN:+a} /\nFROM scratch\nCOPY tools/b /\n# " + rand.Text() + "\n",
		"tools/a":           "2", // a file of the value's name would be kept: names are no secret
		"tools/b":           "3",
		"deploy/Dockerfile": "FROM scratch\nCOPY none /\n",
	})
	var book logbook
	env, change := onLab(t, "prewarm: {level: all, quiet: 10ms}\n", &book)
	home := t.TempDir()
	r := start(t, home, env, change)
	r.up(root, false)

	attrs := map[string]string{"target": "debug", "build-arg:TOKEN": canary}
	buildFile(t, root, "tools/Dockerfile", filepath.Join(home, ".docker", "buildx"), attrs)
	find := func(repo api.Repository) *api.Definition {
		for i, d := range repo.Definitions {
			if d.Origin == "observed build" {
				return &repo.Definitions[i]
			}
		}
		return nil
	}
	repo := r.wait(root, "the build to be learnt", func(repo api.Repository) bool {
		d := find(repo)
		return d != nil && d.Builds == 1 && d.Sent.Files == 1
	})
	d := find(repo)
	if d.Name != "tools-debug" || d.Target != "debug" || d.ContextDir != "." || d.Dockerfile != "tools/Dockerfile" || d.Warm.State != "off" {
		t.Errorf("learnt %+v, want stage debug of tools/Dockerfile, built from the root and not warmed", d)
	}
	for _, d := range repo.Definitions {
		if d.Name == "tools" && d.ContextDir != "." {
			t.Errorf("definition %s of the same Dockerfile has the context %s, want the root", d.Name, d.ContextDir)
		}
	}
	r.noCanary(&book, nil)
	r.end()

	r = start(t, home, nil) // no builder: the values are not known
	repo = r.wait(root, "the learnt build", func(repo api.Repository) bool { return find(repo) != nil })
	if d := find(repo); !strings.Contains(strings.Join(d.Notes, "\n"), "build arg TOKEN is not known any more") {
		t.Errorf("notes %q, want one that the value of TOKEN is not known any more", d.Notes)
	}
	r.end()

	r = start(t, home, env, change)
	r.wait(root, "the values to be read again", func(repo api.Repository) bool {
		d := find(repo)
		return d != nil && !strings.Contains(strings.Join(d.Notes, "\n"), "TOKEN")
	})
	r.noCanary(&book, nil)
}

// buildFile builds root with a Dockerfile somewhere in it, as buildx does.
func buildFile(t *testing.T, root, dockerfile, state string, attrs map[string]string) {
	t.Helper()
	c, err := client.New(t.Context(), lab.For(t).Address())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	file := filepath.Join(root, dockerfile)
	mounts := map[string]fsutil.FS{}
	for name, dir := range map[string]string{"context": root, "dockerfile": filepath.Dir(file)} {
		if mounts[name], err = fsutil.NewFS(dir); err != nil {
			t.Fatal(err)
		}
	}
	all := map[string]string{"filename": filepath.Base(file)}
	maps.Copy(all, attrs)
	ref := "test" + rand.Text()
	write(t, filepath.Join(state, "refs", "b", "n", ref), `{"LocalPath": "`+root+`", "DockerfilePath": "`+file+`"}`)
	opt := client.SolveOpt{Ref: ref, Frontend: "dockerfile.v0", FrontendAttrs: all, LocalMounts: mounts}
	if _, err := c.Solve(t.Context(), nil, opt, nil); err != nil {
		t.Fatal(err)
	}
}

// TestBelongsToWhatWasBuilt checks that of several definitions with one context, a build is
// of the one whose text was built. The path that buildx names does not decide: it is missing
// if buildx was given none, and that of another file if the text is inline.
func TestBelongsToWhatWasBuilt(t *testing.T) {
	root := repository(t, map[string]string{
		"compose.yaml": `services:
  an-inline: {build: {context: ., dockerfile_inline: "FROM scratch\nCOPY b /inline\n"}}
  prod: {build: {context: ., dockerfile: docker/prod.Dockerfile}}
  web: {build: .}
`,
		"Dockerfile":             "FROM scratch\nCOPY a /web\n",
		"docker/prod.Dockerfile": "FROM scratch\nCOPY a /prod\n",
		"a":                      "1",
		"b":                      "2",
	})
	home := t.TempDir()
	r := start(t, home, map[string]string{"BUILDKIT_HOST": lab.For(t).Address()})
	r.up(root, false)
	r.connected()
	builder := dial(t, lab.For(t).Address())
	for _, build := range []struct{ of, path, text string }{
		{"web", "", "FROM scratch\nCOPY a /web\n"},
		{"prod", filepath.Join(root, "docker/prod.Dockerfile"), "FROM scratch\nCOPY a /prod\n"},
		{"prod", "", "FROM scratch\nCOPY a /prod\n"}, // in a pipe
		{"an-inline", filepath.Join(root, "Dockerfile"), "FROM scratch\nCOPY b /inline\n"},
		{"web", "", "FROM scratch\nCOPY gone /web\n"},
		{"an-inline", filepath.Join(root, "Dockerfile"), ""}, // fails: it takes what is gone
	} {
		if build.text == "" {
			build.text = "FROM scratch\nCOPY b /inline\n"
			if err := os.Remove(filepath.Join(root, "b")); err != nil {
				t.Fatal(err)
			}
		}
		dir, file := t.TempDir(), "Dockerfile"
		if build.path != "" {
			file = filepath.Base(build.path)
		}
		write(t, filepath.Join(dir, file), build.text)
		mounts := map[string]fsutil.FS{}
		for name, dir := range map[string]string{"context": root, "dockerfile": dir} {
			fs, err := fsutil.NewFS(dir)
			if err != nil {
				t.Fatal(err)
			}
			mounts[name] = fs
		}
		ref := "test" + rand.Text()
		write(t, filepath.Join(home, ".docker", "buildx", "refs", "b", "n", ref), `{"LocalPath": "`+root+`", "DockerfilePath": "`+build.path+`"}`)
		_, err := builder.Solve(t.Context(), nil, client.SolveOpt{
			Ref: ref, Frontend: "dockerfile.v0", FrontendAttrs: map[string]string{"filename": file}, LocalMounts: mounts,
		}, nil)
		t.Logf("a build of %s: %v", build.of, err)
		r.wait(root, "the build of "+build.of, func(repo api.Repository) bool {
			for _, d := range repo.Definitions {
				if d.Last != nil && d.Last.Ref == ref {
					if d.Name != build.of {
						t.Errorf("a build of %s, of %q, is taken for one of %s", build.of, build.text, d.Name)
					}
					return true
				}
			}
			return false
		})
	}
}

// TestJoinedByVCS: a build of which the client tells no more than its folder within some clone
// of the repository, as buildx does on another machine, is of the definition in that folder,
// unless its Dockerfile is another one.
func TestJoinedByVCS(t *testing.T) {
	text := "FROM scratch\nCOPY a /" + strings.ToLower(rand.Text()) + "\n"
	root := repository(t, map[string]string{
		"compose.yaml":   "services:\n  one: {build: one}\n  two: {build: two}\n",
		"one/Dockerfile": text, "one/a": "1",
		"two/Dockerfile": text, "two/a": "2",
	})
	r := start(t, t.TempDir(), map[string]string{"BUILDKIT_HOST": lab.For(t).Address()})
	r.up(root, false)
	r.connected()
	builder := dial(t, lab.For(t).Address())
	build := func(dir, vcs string) string {
		t.Helper()
		fs, err := fsutil.NewFS(dir)
		if err != nil {
			t.Fatal(err)
		}
		ref := "vcs" + rand.Text()
		_, err = builder.Solve(t.Context(), nil, client.SolveOpt{
			Ref: ref, Frontend: "dockerfile.v0", LocalMounts: map[string]fsutil.FS{"context": fs, "dockerfile": fs},
			FrontendAttrs: map[string]string{
				"filename": "Dockerfile", "vcs:source": "https://example.com/shop.git", "vcs:revision": "abc",
				"vcs:localdir:context": vcs, "vcs:localdir:dockerfile": vcs,
			},
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return ref
	}
	elsewhere := t.TempDir()
	write(t, filepath.Join(elsewhere, "Dockerfile"), strings.Replace(text, "COPY a", "COPY ./a", 1))
	write(t, filepath.Join(elsewhere, "a"), "3")
	others := build(elsewhere, "one") // of another repository that has such a folder
	refs := map[string]string{"one": build(filepath.Join(root, "one"), "one"), "two": build(filepath.Join(root, "two"), "./two")}
	repo := r.wait(root, "both builds", func(repo api.Repository) bool {
		builds := 0
		for _, d := range repo.Definitions {
			builds += d.Builds
		}
		return builds >= len(refs)
	})
	for _, d := range repo.Definitions {
		if d.Builds != 1 || d.Last == nil || d.Last.Ref != refs[d.Name] || d.Last.Ref == others {
			t.Errorf("%s has %d builds, the last one %+v; want the one in its folder, %s", d.Name, d.Builds, d.Last, refs[d.Name])
		}
	}
}
