package daemon_test

import (
	"crypto/rand"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stokerd/stoker/internal/api"
)

// TestPredictTarget: a build with the last stage as its target counts for the definition
// without a target; one of another stage gets a definition of its own. After one of either,
// its steps are predicted to hit, whether or not the client tells which folder it built.
func TestPredictTarget(t *testing.T) {
	env, change := onLab(t, "prewarm: {level: off}\n", &logbook{})
	home := t.TempDir()
	r := start(t, home, env, change)
	r.connected()
	for _, client := range []string{"plain", "buildx"} {
		state := ""
		if client == "buildx" {
			state = filepath.Join(home, ".docker", "buildx")
		}
		nonce := strings.ToLower(rand.Text())
		root := repository(t, map[string]string{
			"Dockerfile": "FROM busybox AS test\nCOPY src /" + nonce + "/\nFROM busybox AS final\nCOPY conf /" + nonce + "\n",
			"src/a":      nonce, "conf/a": nonce,
		})
		r.up(root, false)
		if err := build(t, root, state, map[string]string{"target": "FINAL"}); err != nil {
			t.Fatal(err)
		}
		repo := r.wait(root, "the build of the last stage", func(repo api.Repository) bool {
			return len(repo.Definitions) > 0 && repo.Definitions[0].Builds == 1
		})
		name := repo.Definitions[0].Name
		if got := outlook(r.foretold(api.Query{Dir: root, Names: []string{name}})); got != "hit" || len(repo.Definitions) != 1 {
			t.Errorf("%s: after a build of the last stage by name there are %d definitions, want 1, and predicted is:\n%s", client, len(repo.Definitions), got)
		}
		if err := build(t, root, state, map[string]string{"target": "test"}); err != nil {
			t.Fatal(err)
		}
		repo = r.wait(root, "the build of another stage", func(repo api.Repository) bool {
			return len(repo.Definitions) == 2 && repo.Definitions[0].Builds+repo.Definitions[1].Builds == 2
		})
		for _, d := range repo.Definitions {
			if got := outlook(r.foretold(api.Query{Dir: root, Names: []string{d.Name}})); got != "hit" || d.Builds != 1 || d.Name != name && d.Target != "test" {
				t.Errorf("%s: %s, of target %q, after %d builds:\n%s", client, d.Name, d.Target, d.Builds, got)
			}
		}
		write(t, filepath.Join(root, "src", "a"), nonce+"2")
		if err := build(t, root, state, map[string]string{"target": "test"}); err != nil {
			t.Fatal(err)
		}
		r.wait(root, "the second build", func(repo api.Repository) bool { return repo.Definitions[0].Builds+repo.Definitions[1].Builds == 3 })
		why, err := r.Why(t.Context(), api.WhyRequest{Dir: root})
		if err != nil {
			t.Fatal(err)
		}
		if s := why.Steps[0]; s.Cause == nil || s.Cause.Kind != "files" || len(s.Cause.Paths) != 1 || s.Cause.Paths[0].Path != "src/a" {
			t.Errorf("%s: after an edit, a stage was built: %+v, want that src/a is the cause", client, why.Steps)
		}
	}
}

// TestPredictTwin: if two services differ only in what no step uses, a build counts for one of
// them, and the other is predicted by it, too.
func TestPredictTwin(t *testing.T) {
	env, change := onLab(t, "prewarm: {level: off}\n", &logbook{})
	r := start(t, t.TempDir(), env, change)
	r.connected()
	nonce := strings.ToLower(rand.Text())
	root := repository(t, map[string]string{
		"Dockerfile": "FROM busybox\nCOPY src /" + nonce + "/\nRUN echo " + nonce + "\n", "src/a": nonce,
		"compose.yaml": "services: {web: {build: .}, worker: {build: {context: ., args: {UNUSED: of the worker}}}}\n",
	})
	r.up(root, false)
	if err := build(t, root, "", nil); err != nil {
		t.Fatal(err)
	}
	r.wait(root, "the build", func(repo api.Repository) bool {
		return slices.ContainsFunc(repo.Definitions, func(d api.Definition) bool { return d.Builds == 1 })
	})
	write(t, filepath.Join(root, "src", "a"), nonce+"2")
	for _, name := range []string{"web", "worker"} {
		answer, err := r.Predict(t.Context(), api.PredictRequest{Query: api.Query{Dir: root, Names: []string{name}}})
		if err != nil {
			t.Fatal(err)
		}
		p := answer.Definitions[0]
		if cause := p.Steps[0].Cause; p.Seconds == nil || p.FixedSeconds == nil || cause == nil || cause.Kind != "files" || len(cause.Paths) != 1 {
			t.Errorf("%s is predicted %+v, its first step for %+v, want times and one file", name, p, cause)
		}
	}
}
