package git_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stokerd/stoker/internal/git"
)

// fixture runs git directly, to set up a repository, and returns its output.
func fixture(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=t", "-c", "user.email=t@example.org",
		"-c", "init.defaultBranch=main", "-c", "protocol.file.allow=always"}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// newRepo makes a repository with one commit.
func newRepo(t *testing.T) string {
	t.Helper()
	dir := realTemp(t)
	fixture(t, dir, "init", "-q")
	write(t, dir, "a.txt", "one\n")
	fixture(t, dir, "add", ".")
	fixture(t, dir, "commit", "-qm", "first")
	return dir
}

// realTemp returns a temporary folder, links resolved.
func realTemp(t *testing.T) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func open(t *testing.T, dir string) *git.Repo {
	t.Helper()
	r, err := git.Open(t.Context(), dir)
	if err != nil {
		t.Fatalf("Open(%s): %v", dir, err)
	}
	return r
}

func TestOpen(t *testing.T) {
	dir := newRepo(t)
	write(t, dir, "deep/er/b.txt", "b")
	if got := open(t, filepath.Join(dir, "deep", "er")).Root(); got != dir {
		t.Errorf("Root from a subfolder = %s, want %s", got, dir)
	}
	if _, err := git.Open(t.Context(), realTemp(t)); !errors.Is(err, git.ErrNotRepository) {
		t.Errorf("Open outside a repository: %v, want ErrNotRepository", err)
	}
	// An empty .git is not a repository, and hides the one around it.
	inner := filepath.Join(dir, "inner")
	if err := os.MkdirAll(filepath.Join(inner, ".git"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := git.Open(t.Context(), inner); !errors.Is(err, git.ErrNotRepository) {
		t.Errorf("Open with an empty .git: %v, want ErrNotRepository", err)
	}
}

func TestOpenWithoutGit(t *testing.T) {
	dir := newRepo(t)
	t.Setenv("PATH", realTemp(t))
	if _, err := git.Open(t.Context(), dir); !errors.Is(err, git.ErrNoGit) {
		t.Errorf("Open without git: %v, want ErrNoGit", err)
	}
}

func TestOpenForeignOwner(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root to give a repository to another user")
	}
	dir := newRepo(t)
	// git also accepts repositories of the user in SUDO_UID.
	t.Setenv("SUDO_UID", "")
	t.Setenv("GIT_CONFIG_GLOBAL", "/dev/null")
	t.Setenv("GIT_CONFIG_NOSYSTEM", "1")
	for _, name := range []string{dir, filepath.Join(dir, ".git")} {
		if err := os.Chown(name, 4242, 4242); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := git.Open(t.Context(), dir); !errors.Is(err, git.ErrUnsafe) {
		t.Errorf("Open of another user's repository: %v, want ErrUnsafe", err)
	}
}

func TestHead(t *testing.T) {
	dir := newRepo(t)
	commit := fixture(t, dir, "rev-parse", "HEAD")
	check := func(dir string, want git.Head, text string) {
		t.Helper()
		got, err := open(t, dir).Head(t.Context())
		if err != nil || got != want || got.String() != text {
			t.Errorf("Head = %+v (%s), %v; want %+v (%s)", got, got, err, want, text)
		}
	}
	check(dir, git.Head{Branch: "main", Commit: commit}, "main@"+commit[:7])

	linked := filepath.Join(realTemp(t), "linked")
	fixture(t, dir, "worktree", "add", "-q", "-b", "side", linked)
	check(linked, git.Head{Branch: "side", Commit: commit}, "side@"+commit[:7])

	fixture(t, dir, "checkout", "-q", "--detach")
	check(dir, git.Head{Commit: commit}, commit[:7])

	unborn := realTemp(t)
	fixture(t, unborn, "init", "-q")
	check(unborn, git.Head{Branch: "main"}, "main (no commit yet)")

	write(t, dir, "a.txt", "two\n")
	fixture(t, dir, "commit", "-qam", "second")
	second := fixture(t, dir, "rev-parse", "HEAD")
	shallow := filepath.Join(realTemp(t), "shallow")
	fixture(t, dir, "clone", "-q", "--depth=1", "file://"+dir, shallow)
	fixture(t, shallow, "checkout", "-q", "-B", "main")
	check(shallow, git.Head{Branch: "main", Commit: second, Shallow: true}, "main@"+second[:7])

	super := newRepo(t)
	fixture(t, super, "submodule", "--quiet", "add", dir, "sub")
	fixture(t, filepath.Join(super, "sub"), "checkout", "-q", "-B", "own")
	check(filepath.Join(super, "sub"), git.Head{Branch: "own", Commit: second}, "own@"+second[:7])
}

func TestDirty(t *testing.T) {
	dir := newRepo(t)
	dirty := func(path string) bool {
		t.Helper()
		got, err := open(t, dir).Dirty(t.Context(), path)
		if err != nil {
			t.Fatalf("Dirty(%s): %v", path, err)
		}
		return got
	}
	if dirty("a.txt") {
		t.Error("a committed file is dirty")
	}
	write(t, dir, "a.txt", "one\r\n")
	if dirty("a.txt") {
		t.Error("a file that differs in line endings only is dirty")
	}
	write(t, dir, "a.txt", "two\n")
	if !dirty("a.txt") {
		t.Error("a changed file is clean")
	}
	fixture(t, dir, "add", "a.txt")
	write(t, dir, "a.txt", "one\n")
	if !dirty("a.txt") {
		t.Error("a file with another version in the index is clean")
	}
	write(t, dir, "new.txt", "new\n")
	if !dirty("new.txt") {
		t.Error("an untracked file is clean")
	}
	fixture(t, dir, "reset", "-q", "--hard")
	if err := os.Remove(filepath.Join(dir, "a.txt")); err != nil {
		t.Fatal(err)
	}
	if !dirty("a.txt") {
		t.Error("a removed file is clean")
	}
}

func TestBatch(t *testing.T) {
	dir := newRepo(t)
	write(t, dir, "empty", "")
	write(t, dir, "with space\tand tab", "x\ny")
	fixture(t, dir, "add", ".")
	fixture(t, dir, "commit", "-qm", "more")
	b, err := open(t, dir).Batch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"HEAD:a.txt": "one\n", "HEAD:empty": "", "HEAD:with space\tand tab": "x\ny"} {
		if o, err := b.Read(name); err != nil || string(o.Data) != want || o.Type != "blob" {
			t.Errorf("Read(%q) = %q %s, %v; want %q", name, o.Data, o.Type, err, want)
		}
	}
	for _, name := range []string{"HEAD:none", "HEAD:a\nb", "0000000000000000000000000000000000000000"} {
		if _, err := b.Read(name); !errors.Is(err, git.ErrMissing) {
			t.Errorf("Read(%q): %v, want ErrMissing", name, err)
		}
	}
	if err := b.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// sign adds a signature to the last commit. git would check it with the program that
// the repository's configuration names.
func sign(t *testing.T, dir string) {
	t.Helper()
	headers, message, _ := strings.Cut(fixture(t, dir, "cat-file", "commit", "HEAD"), "\n\n")
	cmd := exec.Command("git", "-C", dir, "hash-object", "-t", "commit", "-w", "--stdin")
	cmd.Stdin = strings.NewReader(headers + "\ngpgsig -----BEGIN PGP SIGNATURE-----\n \n x\n -----END PGP SIGNATURE-----\n\n" + message + "\n")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	fixture(t, dir, "update-ref", "HEAD", strings.TrimSpace(string(out)))
}

// TestNothingOfTheRepositoryRuns sets every setting of git that names a program to a
// canary, uses everything that Repo offers, and checks that the canary never ran.
func TestNothingOfTheRepositoryRuns(t *testing.T) {
	dir := newRepo(t)
	mark := filepath.Join(realTemp(t), "ran")
	canary := filepath.Join(realTemp(t), "canary")
	if err := os.WriteFile(canary, fmt.Appendf(nil, "#!/bin/sh\necho \"$0 $*\" >> %s\ncat\n", mark), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, dir, ".gitattributes", "* filter=evil diff=evil text\n")
	write(t, dir, "b.txt", "b\n")
	fixture(t, dir, "add", ".")
	fixture(t, dir, "commit", "-qm", "second")
	sign(t, dir)
	elsewhere := realTemp(t)
	included := filepath.Join(realTemp(t), "included")
	write(t, filepath.Dir(included), "included", "[core]\n\tpager = "+canary+"\n[diff]\n\texternal = "+canary+"\n")
	for _, kv := range [][2]string{
		{"core.fsmonitor", canary}, {"core.pager", canary}, {"pager.log", canary}, {"core.editor", canary},
		{"core.sshCommand", canary}, {"core.askPass", canary}, {"core.gitProxy", canary}, {"credential.helper", "!" + canary},
		{"core.alternateRefsCommand", canary}, {"core.worktree", elsewhere},
		{"diff.external", canary}, {"diff.evil.command", canary}, {"diff.evil.textconv", canary},
		{"filter.evil.clean", canary}, {"filter.evil.smudge", canary}, {"filter.evil.process", canary}, {"filter.evil.required", "true"},
		{"log.showSignature", "true"}, {"gpg.program", canary}, {"gpg.ssh.program", canary}, {"gpg.x509.program", canary},
		{"alias.log", "!" + canary}, {"alias.rev-parse", "!" + canary}, {"alias.cat-file", "!" + canary},
		{"color.ui", "always"}, {"diff.renames", "copies"}, {"diff.relative", "true"}, {"log.follow", "true"},
		{"include.path", included}, {"includeIf.gitdir:" + dir + "/.path", included},
		{"remote.origin.url", "ext::" + canary}, {"remote.origin.uploadpack", canary}, {"remote.origin.promisor", "true"},
		{"remote.origin.partialclonefilter", "blob:none"}, {"extensions.partialClone", "origin"}, {"protocol.ext.allow", "always"},
		{"core.repositoryFormatVersion", "1"},
	} {
		// Not fixture: the settings made before would affect it.
		f := filepath.Join(dir, ".git", "config")
		if out, err := exec.Command("git", "config", "--file", f, kv[0], kv[1]).CombinedOutput(); err != nil {
			t.Fatalf("git config %v: %v\n%s", kv, err, out)
		}
	}
	for _, hook := range []string{"post-index-change", "reference-transaction", "post-checkout", "fsmonitor-watchman"} {
		data, err := os.ReadFile(canary)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Join(dir, ".git", "hooks"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, ".git", "hooks", hook), data, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"GIT_EXTERNAL_DIFF", "GIT_PAGER", "GIT_SSH_COMMAND", "GIT_PROXY_COMMAND", "GIT_ASKPASS"} {
		t.Setenv(name, canary)
	}
	t.Setenv("GIT_DIR", elsewhere)
	t.Setenv("GIT_INDEX_FILE", filepath.Join(elsewhere, "index"))
	t.Setenv("GIT_CONFIG_COUNT", "1")
	t.Setenv("GIT_CONFIG_KEY_0", "diff.external")
	t.Setenv("GIT_CONFIG_VALUE_0", canary)

	write(t, dir, "b.txt", "changed\n")
	r := open(t, dir)
	if r.Root() != dir {
		t.Errorf("Root = %s, want %s: core.worktree was believed", r.Root(), dir)
	}
	head, err := r.Head(t.Context())
	if err != nil || head.Commit == "" {
		t.Errorf("Head = %v, %v", head, err)
	}
	if dirty, err := r.Dirty(t.Context(), "b.txt"); err != nil || !dirty {
		t.Errorf("Dirty = %v, %v, want true", dirty, err)
	}
	args := append([]string{"log", "--raw", "-p", "-z", "HEAD"}, git.DiffFlags()...)
	if out, err := r.Run(t.Context(), args...); err != nil || !strings.Contains(string(out), "+b") {
		t.Errorf("log = %q, %v", out, err)
	}
	b, err := r.Batch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// In a partial clone git would fetch a missing object.
	if _, err := b.Read("1111111111111111111111111111111111111111"); err == nil {
		t.Error("an object that does not exist was read")
	}
	_ = b.Close() // older versions of git fail on the forbidden transport, which is fine
	if ran, err := os.ReadFile(mark); err == nil {
		t.Errorf("the repository's configuration ran programs:\n%s", ran)
	}
}

func TestStreamEnds(t *testing.T) {
	dir := newRepo(t)
	r := open(t, dir)
	out, err := r.Stream(t.Context(), "log", "--format=%H")
	if err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Errorf("Close before the end: %v, want nil", err)
	}
	out, err = r.Stream(t.Context(), "log", "no-such-revision")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(out); err != nil {
		t.Fatal(err)
	}
	var ce *git.CommandError
	if err := out.Close(); !errors.As(err, &ce) || !strings.Contains(err.Error(), "no-such-revision") {
		t.Errorf("Close of a failed command: %v, want its message", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Run(ctx, "log"); !errors.Is(err, context.Canceled) {
		t.Errorf("Run when cancelled: %v, want context.Canceled", err)
	}
}
