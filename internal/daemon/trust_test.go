package daemon_test

import (
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stokerd/stoker/internal/api"
)

// head returns the commit of the branch main.
func head(t *testing.T, root string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, ".git", "refs", "heads", "main"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(data))
}

// TestCommitsFromElsewhere takes an allowed repository through merges of other people's
// commits, and checks that none of these is warmed before the user has built it.
func TestCommitsFromElsewhere(t *testing.T) {
	root := repository(t, map[string]string{
		"Dockerfile": "# " + rand.Text() + "\nFROM busybox\nCOPY src /src\nRUN cat /src/*\n", "src/a": "mine",
	})
	git(t, root, "init", "-q")
	commit := func(content, message string) {
		t.Helper()
		write(t, filepath.Join(root, "src/a"), content)
		git(t, root, "add", ".")
		git(t, root, "commit", "-q", "-m", message)
	}
	commit("mine", "one")
	git(t, root, "checkout", "-q", "-b", "theirs")
	commit("theirs", "two")
	git(t, root, "checkout", "-q", "main")

	home := t.TempDir()
	var book logbook
	env, change := onLab(t, "prewarm: {level: all, quiet: 10ms}\n", &book)
	r := start(t, home, env, change)
	r.up(root, true)
	state := func(want, reason string) func(api.Repository) bool {
		return func(repo api.Repository) bool {
			w := repo.Definitions[0].Warm
			return w.State == want && strings.Contains(w.Reason, reason) && (reason == "") == (w.Level == "all")
		}
	}
	r.wait(root, "the user's own state", state("ready", ""))

	git(t, root, "merge", "-q", "--no-commit", "--no-ff", "theirs")
	write(t, filepath.Join(root, "stoker.yaml"), "builder: unix:///nowhere/theirs.sock\n")
	r.wait(root, "a merge half-way", state("waiting", "MERGE_HEAD"))
	if s, err := r.Status(t.Context()); err != nil || !s.Builder.Connected {
		t.Errorf("a builder was taken from a file that a merge may have brought: %+v, %v", s.Builder, err)
	}
	if err := os.Remove(filepath.Join(root, "stoker.yaml")); err != nil {
		t.Fatal(err)
	}
	git(t, root, "merge", "--abort")
	r.wait(root, "the merge given up", state("ready", ""))

	// The reflog of HEAD says "commit (merge)" of a merge that is committed by hand.
	commit("mine again", "three")
	r.wait(root, "an own commit", func(repo api.Repository) bool { return repo.Commit == head(t, root) && state("ready", "")(repo) })
	git(t, root, "merge", "-q", "-X", "theirs", "--no-commit", "--no-ff", "theirs")
	git(t, root, "commit", "-q", "-m", "merged")
	merged := r.wait(root, "a merge that was committed", state("waiting", "neither made nor built"))

	// A plain client's build may be of another clone, so only that of buildx counts.
	if err := build(t, root, "", nil); err != nil {
		t.Fatal(err)
	}
	repo := r.wait(root, "the build", func(repo api.Repository) bool {
		return repo.Definitions[0].Builds > merged.Definitions[0].Builds
	})
	if got := repo.Definitions[0].Warm; !strings.Contains(got.Reason, "neither made nor built") {
		t.Errorf("after a build by a client that names no folder: warmth %+v, want the commit still untrusted", got)
	}
	if err := build(t, root, filepath.Join(home, ".docker", "buildx"), nil); err != nil {
		t.Fatal(err)
	}
	r.wait(root, "the user's build to count", state("ready", ""))

	if err := os.WriteFile(filepath.Join(root, ".git", "HEAD"), []byte("garbage\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(root, "src/a"), "who knows")
	r.wait(root, "git that cannot tell", func(repo api.Repository) bool { return repo.Definitions[0].Warm.Level == "base" })
}

// TestConsent checks how far a repository is warmed as consent is given, commits are made here
// and elsewhere, pulls are allowed, and consent is taken back.
func TestConsent(t *testing.T) {
	root := repository(t, shop)
	git(t, root, "init", "-q")
	git(t, root, "add", ".")
	git(t, root, "commit", "-q", "-m", "one")
	home := t.TempDir()
	r := start(t, home, nil)
	repo := r.up(root, false)
	if repo.Allowed || repo.Definitions[0].Warm.Level != "base" {
		t.Errorf("before consent: allowed = %v, warmth %+v; want it not allowed, and level base", repo.Allowed, repo.Definitions[0].Warm)
	}
	if _, err := r.Allow(t.Context(), api.AllowRequest{Dir: root}); err != nil {
		t.Fatal(err)
	}
	level := func(want string) func(api.Repository) bool {
		return func(repo api.Repository) bool {
			return len(repo.Definitions) == 1 && repo.Definitions[0].Warm.Level == want
		}
	}
	r.wait(root, "consent", level("deps"))

	// Commits that are made here are trusted, even two at once, and so are older ones. One
	// that comes from elsewhere is not.
	for _, text := range []string{"mine", "and mine"} {
		write(t, filepath.Join(root, "src/main.js"), text)
		git(t, root, "commit", "-q", "-a", "-m", text)
	}
	one := repo.Commit
	r.wait(root, "an own commit", func(repo api.Repository) bool { return repo.Commit != one })
	r.wait(root, "trust in it", level("deps"))
	git(t, root, "checkout", "-q", "-b", "other", "HEAD^")
	git(t, root, "checkout", "-q", "main")
	r.wait(root, "an older commit", level("deps"))
	theirs := t.TempDir()
	git(t, theirs, "clone", "-q", root, ".")
	write(t, filepath.Join(theirs, "src/main.js"), "theirs")
	git(t, theirs, "commit", "-q", "-a", "-m", "three")
	git(t, root, "fetch", "-q", theirs, "HEAD:theirs")
	git(t, root, "merge", "-q", "--ff-only", "theirs")
	r.wait(root, "a commit from elsewhere", level("base"))
	if _, err := r.Allow(t.Context(), api.AllowRequest{Dir: root, Pulls: true}); err != nil {
		t.Fatal(err)
	}
	r.wait(root, "pulls being allowed", level("deps"))
	if _, err := r.Allow(t.Context(), api.AllowRequest{Dir: root, Revoke: true}); err != nil {
		t.Fatal(err)
	}
	r.wait(root, "consent being taken back", level("base"))
}

// TestConsentNeedsAFolder checks that consent cannot be given for something that is no folder:
// one of that name may be somebody else's later.
func TestConsentNeedsAFolder(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	write(t, file, "")
	r := start(t, t.TempDir(), nil)
	for name, want := range map[string]string{filepath.Join(dir, "gone"): "there is no folder " + dir, file: "is not a folder"} {
		_, err := r.Allow(t.Context(), api.AllowRequest{Dir: name})
		var e *api.Error
		if !errors.As(err, &e) || e.Code != api.BadInput || e.Hint == "" || !strings.Contains(e.Message, want) {
			t.Errorf("allow %s: %v, want %q and a hint", name, err, want)
		}
	}
}

// TestConsentOutlivesItsFolder checks that consent for a folder that is gone can be taken back:
// a folder that takes its place would have that consent.
func TestConsentOutlivesItsFolder(t *testing.T) {
	root := repository(t, shop)
	r := start(t, t.TempDir(), nil)
	r.up(root, true)
	if _, err := r.Down(t.Context(), api.DownRequest{Dir: root}); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(root); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Allow(t.Context(), api.AllowRequest{Dir: root, Revoke: true}); err != nil {
		t.Errorf("take back consent for a folder that is gone: %v", err)
	}
	var e *api.Error
	if _, err := r.Allow(t.Context(), api.AllowRequest{Dir: root, Revoke: true}); !errors.As(err, &e) || e.Code != api.BadInput {
		t.Errorf("take it back again: error %v, want one with the code %q", err, api.BadInput)
	}
	write(t, filepath.Join(root, "Dockerfile"), "FROM scratch\n")
	if repo := r.up(root, false); repo.Allowed {
		t.Error("the folder that took its place is allowed, want it not allowed")
	}
}

// TestConsentForWhatNobodySaw checks that commits which the user makes while no daemon runs
// are trusted, on whatever branch HEAD ends up.
func TestConsentForWhatNobodySaw(t *testing.T) {
	root := repository(t, shop)
	commit := func(text string) {
		write(t, filepath.Join(root, "src/main.js"), text)
		git(t, root, "commit", "-q", "-a", "-m", text)
	}
	git(t, root, "init", "-q")
	git(t, root, "add", ".")
	git(t, root, "commit", "-q", "-m", "one")
	home := t.TempDir()
	r := start(t, home, nil)
	r.up(root, true)
	r.end()
	commit("two")
	git(t, root, "checkout", "-q", "-b", "topic")
	commit("three")
	git(t, root, "checkout", "-q", "main")
	r = start(t, home, nil)
	r.wait(root, "trust in an own commit", func(repo api.Repository) bool {
		return len(repo.Definitions) == 1 && repo.Definitions[0].Warm.Level == "deps"
	})
}
