package daemon_test

import (
	"crypto/rand"
	"maps"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/buildkit/client"
	"github.com/tonistiigi/fsutil"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/lab"
)

// TestLearnsBuilds: a build that no file declares becomes a definition, which
// outlives the daemon; the values of its args do not, unless the builder still
// has the build.
func TestLearnsBuilds(t *testing.T) {
	root := repository(t, map[string]string{
		"compose.yaml":      "services: {web: {build: web}}\n",
		"web/Dockerfile":    "FROM scratch\nCOPY index.html /\n",
		"web/index.html":    "1",
		"tools/Dockerfile":  "FROM scratch AS debug\nARG TOKEN\nCOPY tools/${TOKEN:+a} /\nFROM scratch\nCOPY tools/b /\n",
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
		t.Errorf("learnt %+v", d)
	}
	for _, d := range repo.Definitions {
		if d.Name == "tools" && d.ContextDir != "." {
			t.Errorf("the same Dockerfile's context is taken to be %s", d.ContextDir)
		}
	}
	r.noCanary(&book, nil)
	r.end()

	r = start(t, home, nil) // no builder: the values are not known
	repo = r.wait(root, "the learnt build", func(repo api.Repository) bool { return find(repo) != nil })
	if d := find(repo); !strings.Contains(strings.Join(d.Notes, "\n"), "build arg TOKEN is not known any more") {
		t.Errorf("notes: %q", d.Notes)
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
