package checkout_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stokerd/stoker/internal/checkout"
	"github.com/stokerd/stoker/internal/git"
)

// repository makes one with a shell script and opens it.
func repository(t *testing.T, script string) *git.Repo {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	dir = filepath.Join(dir, "shop")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	shell(t, dir, "git init -q -b main .\n"+script)
	repo, err := git.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return repo
}

func shell(t *testing.T, dir, script string) {
	t.Helper()
	cmd := exec.Command("sh", "-ec", script)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_AUTHOR_NAME=t", "GIT_AUTHOR_EMAIL=t@example.org", "GIT_COMMITTER_NAME=t",
		"GIT_COMMITTER_EMAIL=t@example.org", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_ALLOW_PROTOCOL=file")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func open(t *testing.T, repo *git.Repo, name string, work *checkout.Work) *checkout.Checkout {
	t.Helper()
	c, err := checkout.Open(t.Context(), repo, name, work)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func openWork(t *testing.T, repo *git.Repo) *checkout.Work {
	t.Helper()
	w, err := checkout.OpenWork(t.Context(), repo)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func list(c *checkout.Checkout) []string {
	var out []string
	for e := range c.Tree.All() {
		if !e.Mode.IsDir() {
			out = append(out, fmt.Sprintf("%s %d %s", e.Path, e.Size, e.Link))
		}
	}
	return out
}

// same says of each path whether the work tree has c's content.
func same(t *testing.T, w *checkout.Work, c *checkout.Checkout, names ...string) string {
	t.Helper()
	var out []string
	for _, name := range names {
		ok, err := w.SameContent(c, name)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, fmt.Sprintf("%s=%t", name, ok))
	}
	return strings.Join(out, " ")
}

// pointer makes, in a shell, the pointer file of "movie\n".
const pointer = `
pointer() { printf 'version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize 6\n' $(printf 'movie\n' | sha256sum | cut -d' ' -f1); }
`

// What Git LFS stores counts with the size that its pointer names, and is the
// same file once it is there; a file that only looks like a pointer is none.
func TestLargeFiles(t *testing.T) {
	repo := repository(t, pointer+`
echo '*.mp4 filter=lfs diff=lfs merge=lfs -text' >.gitattributes
pointer >a.mp4; pointer >b.mp4; echo text >c
git add .; git commit -qm one
printf 'movie\n' >a.mp4; printf 'other\n' >b.mp4`)
	c := open(t, repo, "HEAD", openWork(t, repo))
	if diff := cmp.Diff([]string{".gitattributes 42 ", "a.mp4 6 ", "b.mp4 6 ", "c 5 "}, list(c)); diff != "" {
		t.Error(diff)
	}
	if got := same(t, openWork(t, repo), c, "a.mp4", "b.mp4", "c"); got != "a.mp4=true b.mp4=false c=true" {
		t.Error(got)
	}
	shell(t, repo.Root(), "git rm -q --cached .gitattributes; git commit -qm two")
	if got := list(open(t, repo, "HEAD", nil)); slices.Contains(got, "a.mp4 6 ") {
		t.Errorf("without the filter a pointer is a file like others: %q", got)
	}
}

// A file that the index calls unchanged has the size that it has on disk,
// whatever a filter made of it; one that was touched is looked at.
func TestFilters(t *testing.T) {
	repo := repository(t, `
printf 'one\ntwo\n' >lines; printf 'secret\n' >crypt; printf 'x\n' >touched; printf 'z\n' >changed
git config filter.rot.clean "sed s/^long-//"; git config filter.rot.smudge "sed s/^/long-/"; git config filter.rot.required true
echo 'crypt filter=rot' >.gitattributes
git add .; git commit -qm one
rm -f crypt lines; git config core.autocrlf true; git checkout -q -- lines crypt
touch -d '1 hour ago' *; git update-index -q --refresh
touch touched; printf 'y\n' >changed; printf 'one\r\nthree\r\n' >other`)
	w := openWork(t, repo)
	c := open(t, repo, "HEAD", w)
	if diff := cmp.Diff([]string{".gitattributes 17 ", "changed 2 ", "crypt 13 ", "lines 10 ", "touched 2 "}, list(c)); diff != "" {
		t.Error(diff)
	}
	if got := same(t, w, c, "changed", "crypt", "lines", "touched"); got != "changed=false crypt=true lines=true touched=true" {
		t.Error(got)
	}
	shell(t, repo.Root(), "touch lines")
	if got := same(t, openWork(t, repo), c, "lines"); got != "lines=true" {
		t.Errorf("line endings alone: %s", got)
	}
}

// Submodules count as checked out, at the commit that is recorded.
func TestSubmodules(t *testing.T) {
	repo := repository(t, `
git init -q -b main ../lib
(cd ../lib; echo 1 >one; git add .; git commit -qm one; echo 22 >two; git add .; git commit -qm two)
git submodule -q add ../lib vendor/lib
git commit -qm one
(cd vendor/lib; git checkout -q HEAD~1)
git add vendor/lib; git commit -qm two; echo u >vendor/lib/untracked`)
	w := openWork(t, repo)
	if diff := cmp.Diff([]string{".gitmodules 58 ", "vendor/lib/one 2 "}, list(open(t, repo, "HEAD", w))); diff != "" {
		t.Error(diff)
	}
	c := open(t, repo, "HEAD~1", w)
	if diff := cmp.Diff([]string{".gitmodules 58 ", "vendor/lib/one 2 ", "vendor/lib/two 3 "}, list(c)); diff != "" {
		t.Error(diff)
	}
	if text, err := c.ReadFile(t.Context(), filepath.Join(repo.Root(), "vendor/lib/two")); string(text) != "22\n" {
		t.Errorf("%q, %v", text, err)
	}
	names, err := checkout.OpenNames(t.Context(), repo)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range []*checkout.Work{w, names} {
		if !w.Tracks("vendor/lib/one") || w.Tracks("vendor/lib/two") || w.Tracks("vendor/lib/untracked") || !w.TracksBelow("vendor") {
			t.Error("what is tracked of the submodule is not what its index says")
		}
	}
	shell(t, repo.Root(), "git submodule -q deinit -f vendor/lib")
	c = open(t, repo, "HEAD", nil)
	if diff := cmp.Diff([]string{".gitmodules 58 "}, list(c)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"submodule vendor/lib is not checked out: its files are not counted"}, c.Notes); diff != "" {
		t.Error(diff)
	}
	// A link in its place leads to a repository that is none of ours.
	shell(t, repo.Root(), "rmdir vendor/lib; ln -s ../../lib vendor/lib")
	if diff := cmp.Diff([]string{".gitmodules 58 "}, list(open(t, repo, "HEAD", nil))); diff != "" {
		t.Error(diff)
	}
}

// A partial clone lacks sizes, and nothing is fetched for them.
func TestPartialClone(t *testing.T) {
	origin := repository(t, `
git config uploadpack.allowFilter true
echo old >a; echo FROM scratch >Dockerfile; git add .; git commit -qm one
echo new >a; echo FROM a >Dockerfile; git add .; git commit -qm two`)
	shell(t, filepath.Dir(origin.Root()), "git clone -q --filter=blob:none file://$PWD/shop clone")
	repo, err := git.Open(t.Context(), filepath.Join(filepath.Dir(origin.Root()), "clone"))
	if err != nil {
		t.Fatal(err)
	}
	if c := open(t, repo, "HEAD", nil); len(c.Notes) > 0 {
		t.Errorf("notes %q of what is there", c.Notes)
	}
	c := open(t, repo, "HEAD~1", openWork(t, repo))
	if len(c.Notes) != 1 || !strings.Contains(c.Notes[0], "lacks them: 2") {
		t.Errorf("notes %q", c.Notes)
	}
	if diff := cmp.Diff([]string{"Dockerfile 0 ", "a 0 "}, list(c)); diff != "" {
		t.Error(diff)
	}
	_, err = c.ReadFile(t.Context(), filepath.Join(repo.Root(), "Dockerfile"))
	if err == nil || !strings.Contains(err.Error(), "partial clone") {
		t.Errorf("read what is not there: %v", err)
	}
}

func TestLinks(t *testing.T) {
	repo := repository(t, `
mkdir dir; echo here >dir/file; ln -s dir through; ln -s ../dir/file dir/up; ln -s loop loop; ln -s /etc/hostname out
ln -s ../../../../etc/hostname away; git add .; git commit -qm one`)
	c := open(t, repo, "HEAD", nil)
	for name, want := range map[string]string{
		"dir/file": "here\n", "through/file": "here\n", "through/up": "here\n", "loop": "", "out": "", "away": "", "dir": "", "none": "",
	} {
		text, err := c.ReadFile(t.Context(), filepath.Join(repo.Root(), name))
		if string(text) != want || (want == "") != errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
	if _, err := checkout.Open(t.Context(), repo, "none", nil); !errors.Is(err, git.ErrMissing) {
		t.Errorf("no such commit: %v", err)
	}
	if _, err := checkout.Open(t.Context(), repo, "--all", nil); !errors.Is(err, git.ErrMissing) {
		t.Errorf("an option: %v", err)
	}
}

func TestModes(t *testing.T) {
	repo := repository(t, `echo x >run; echo y >other; chmod +x run; git add .; git commit -qm one; chmod -x run; chmod 600 other`)
	c, w := open(t, repo, "HEAD", nil), openWork(t, repo)
	if w.SameMode(c, "run", 0o644) || !w.SameMode(c, "run", 0o700) || !w.SameMode(c, "other", 0o600) {
		t.Error("git knows whether a file is executable, and no more")
	}
	shell(t, repo.Root(), "git config core.fileMode false")
	if w := openWork(t, repo); !w.SameMode(c, "run", 0o644) || !w.SameMode(c, "other", 0o777) {
		t.Error("where modes mean nothing, the index has them")
	}
}
