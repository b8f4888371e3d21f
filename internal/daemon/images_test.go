package daemon_test

import (
	"crypto/rand"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/lab"
)

// pushOnBuild pushes a base image with ONBUILD triggers under a name of its own.
func pushOnBuild(t *testing.T, triggers ...string) (ref string) {
	t.Helper()
	img, err := lab.StandIn("busybox:latest")
	if err != nil {
		t.Fatal(err)
	}
	file, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config := *file.Config.DeepCopy()
	config.OnBuild = triggers
	if img, err = mutate.Config(img, config); err != nil {
		t.Fatal(err)
	}
	ref = "stokertest/base:" + strings.ToLower(rand.Text())
	if _, err := lab.For(t).Push(t.Context(), ref, img); err != nil {
		t.Fatal(err)
	}
	return ref
}

// TestBaseImageIsRemembered: what a base image asks for is looked up through the
// builder, and still known to a daemon that has none.
func TestBaseImageIsRemembered(t *testing.T) {
	base := pushOnBuild(t, "COPY trigger.txt /")
	root := repository(t, map[string]string{
		"Dockerfile":  "FROM " + base + "\nCOPY main.js /\n",
		"trigger.txt": "1", "main.js": "2", "other": "3",
	})
	sent := func(files int) func(api.Repository) bool {
		return func(repo api.Repository) bool { return repo.Definitions[0].Sent.Files == files }
	}
	noted := func(repo api.Repository, what string) bool {
		return strings.Contains(strings.Join(repo.Definitions[0].Notes, "\n"), what)
	}
	env, change := onLab(t, "prewarm: {level: off}\n", &logbook{})
	home := t.TempDir()
	r := start(t, home, env, change)
	r.up(root, false)
	if repo := r.wait(root, "the trigger's source", sent(2)); len(repo.Definitions[0].Notes) > 0 {
		t.Errorf("notes of an image that was looked up: %q", repo.Definitions[0].Notes)
	}
	r.end()

	r = start(t, home, nil)
	repo := r.wait(root, "the first picture", func(repo api.Repository) bool { return len(repo.Definitions) > 0 })
	if !sent(2)(repo) || !noted(repo, "last looked up") {
		t.Errorf("without a builder %+v are sent, with the notes %q", repo.Definitions[0].Sent, repo.Definitions[0].Notes)
	}
	r.end()

	r = start(t, t.TempDir(), nil)
	repo = r.up(root, false)
	if !sent(1)(repo) || !noted(repo, "was not looked up") {
		t.Errorf("never looked up, %+v are sent, with the notes %q", repo.Definitions[0].Sent, repo.Definitions[0].Notes)
	}
}
