package daemon_test

import (
	"crypto/rand"
	"strings"
	"testing"

	"github.com/moby/buildkit/client"
	"github.com/tonistiigi/fsutil"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/lab"
)

// TestSelfReport: if a builder asks for other files than stoker has worked out, status and why
// say so. Here a plain client builds the Dockerfile that is watched, but of another folder with
// another ignore file, which only the files that it asks for tell.
func TestSelfReport(t *testing.T) {
	nonce := strings.ToLower(rand.Text())
	files := map[string]string{"Dockerfile": "FROM busybox\nCOPY src /src\n# " + nonce + "\n", "src/a": nonce, ".dockerignore": "*.log\n"}
	root := repository(t, files)
	files[".dockerignore"] = "*.tmp\nsrc/b\n"
	other := repository(t, files)
	env, change := onLab(t, "prewarm: {level: off}\n", &logbook{})
	r := start(t, t.TempDir(), env, change)
	r.up(root, false)
	r.connected()
	if _, err := r.Predict(t.Context(), api.PredictRequest{Query: api.Query{Dir: root}}); err != nil {
		t.Fatal(err) // it waits until the base image is looked up
	}
	c := dial(t, lab.For(t).Address())
	buildOf := func(context string) {
		t.Helper()
		mounts := map[string]fsutil.FS{}
		for name, dir := range map[string]string{"context": context, "dockerfile": root} {
			files, err := fsutil.NewFS(dir)
			if err != nil {
				t.Fatal(err)
			}
			mounts[name] = files
		}
		if _, err := c.Solve(t.Context(), nil, client.SolveOpt{Frontend: "dockerfile.v0", LocalMounts: mounts}, nil); err != nil {
			t.Fatal(err)
		}
	}
	said := func(n int) (status, why string) {
		t.Helper()
		notes := r.why(root, n, api.WhyRequest{}).Notes
		repo := r.wait(root, "the build", func(repo api.Repository) bool { return repo.Definitions[0].Builds == n })
		return strings.Join(repo.Definitions[0].Last.SelfReport, "; "), strings.Join(notes, "; ")
	}
	buildOf(root)
	if status, why := said(1); status != "" || why != "" {
		t.Errorf("after a build of the folder itself, status says %q and why says %q, want nothing", status, why)
	}
	buildOf(other)
	status, why := said(2)
	if want := "the builder asked for other files than stoker had worked out (paths: 1, ignore patterns: 2)"; !strings.HasPrefix(status, want) || why != status {
		t.Errorf("another ignore file: status says %q and why says %q, want %q", status, why, want)
	}
	buildOf(root)
	if status, _ := said(3); status != "" {
		t.Errorf("after another build of the folder itself, status still says %q", status)
	}
}
