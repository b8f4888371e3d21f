package daemon_test

import (
	"crypto/rand"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/lab"
)

// pushOnBuild pushes a base image with ONBUILD triggers, and returns its name, which no other
// test uses.
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

// TestBaseImageIsRemembered checks that the triggers of a base image are looked up through the
// builder, and that a later daemon without a builder still knows them.
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
		t.Errorf("notes after the image was looked up: %q, want none", repo.Definitions[0].Notes)
	}
	r.end()

	r = start(t, home, nil)
	repo := r.wait(root, "the first picture", func(repo api.Repository) bool { return len(repo.Definitions) > 0 })
	if !sent(2)(repo) || !noted(repo, "last looked up") {
		t.Errorf("without a builder: sent %+v, notes %q; want 2 files, and a note when the image was last looked up", repo.Definitions[0].Sent, repo.Definitions[0].Notes)
	}
	r.end()

	r = start(t, t.TempDir(), nil)
	repo = r.up(root, false)
	if !sent(1)(repo) || !noted(repo, "was not looked up") {
		t.Errorf("image never looked up: sent %+v, notes %q; want 1 file, and a note that it was not looked up", repo.Definitions[0].Sent, repo.Definitions[0].Notes)
	}
}

// TestImageNamedByPlatform checks that in a repository that is not allowed, an image is looked
// up whose name has no variables but those of platforms, and that one is not whose name has
// a build arg.
func TestImageNamedByPlatform(t *testing.T) {
	img, err := lab.StandIn("busybox:latest")
	if err != nil {
		t.Fatal(err)
	}
	env, change := onLab(t, "prewarm: {level: off}\n", &logbook{})
	r := start(t, t.TempDir(), env, change)
	r.connected()
	const withheld = "unknown: unresolved: an image is not looked up until you run: stoker allow"
	for text, want := range map[string]string{
		"FROM stokertest/base-$TARGETARCH:NONCE\n":                                        "hit",
		"FROM stokertest/base-${BUILDARCH}${TARGETVARIANT}:NONCE\n":                       "hit",
		"ARG TARGETARCH=" + runtime.GOARCH + "\nFROM stokertest/base-$TARGETARCH:NONCE\n": "hit",
		"ARG ARCH=" + runtime.GOARCH + "\nFROM stokertest/base-$ARCH:NONCE\n":             withheld,
		"ARG TARGETARCH=" + runtime.GOARCH + ":NONCE\nFROM stokertest/base-$TARGETARCH\n": withheld,
	} {
		nonce := strings.ToLower(rand.Text()) // an image that is known counts for all
		if _, err := lab.For(t).Push(t.Context(), "stokertest/base-"+runtime.GOARCH+":"+nonce, img); err != nil {
			t.Fatal(err)
		}
		root := repository(t, map[string]string{
			"Dockerfile": strings.ReplaceAll(text, "NONCE", nonce) + "RUN echo " + strings.ToLower(rand.Text()) + "\n",
		})
		r.up(root, false)
		other := walk{t: t, dir: root, builder: dial(t, lab.For(t).Address())}
		other.build()
		name := r.recorded(root, &other).Definitions[0].Name
		if got := outlook(r.foretold(api.Query{Dir: root, Names: []string{name}})); got != want {
			t.Errorf("%spredicted: %s, want %s", text, got, want)
		}
	}
}
