package project

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/context/secrets"
)

// token is put together here, so that no file of ours holds a secret.
func token() string { return "token = \"ghp_" + strings.Repeat("aB3dE6gH9k", 4)[:36] + "\"\n" }

// newRepository makes a repository of the given files; a text that starts with
// "-> " is a link.
func newRepository(t *testing.T, files map[string]string) string {
	t.Helper()
	root := realPath(t.TempDir())
	for name, text := range files {
		abs := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(abs), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if target, ok := strings.CutPrefix(text, "-> "); ok {
			err = os.Symlink(target, abs)
		} else {
			err = os.WriteFile(abs, []byte(text), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func open(t *testing.T, root string, adHoc ...buildctx.Definition) *Picture {
	t.Helper()
	p, err := (&Opener{Secrets: NewSecretCache()}).Open(t.Context(), root, false, adHoc...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// summary is what a finding comes down to.
func summary(f Finding) string {
	s := fmt.Sprintf("%s %s %s", f.Severity, f.Rule, f.Path)
	if f.Line > 0 {
		s += fmt.Sprintf(":%d", f.Line)
	}
	s += " reaches " + string(f.Reach)
	if f.Step != "" {
		s += fmt.Sprintf(" through line %d", f.StepLine)
	}
	return s
}

func TestFindings(t *testing.T) {
	type files = map[string]string
	tests := []struct {
		name  string
		files files
		want  []string
	}{
		{"nothing wrong", files{"Dockerfile": "FROM scratch\nCOPY a /\n", "a": "x"}, nil},
		{
			"a secret ships",
			files{"Dockerfile": "FROM scratch\nCOPY . /\n", "conf.js": "\n" + token()},
			[]string{"error github-pat conf.js:2 reaches final through line 2"},
		},
		{
			"a secret stays behind in a stage",
			files{"Dockerfile": "FROM a AS b\nCOPY . /app\nFROM scratch\nCOPY --from=b /app/bin /\n", "conf.js": token()},
			[]string{"error github-pat conf.js:1 reaches intermediate through line 2"},
		},
		{
			"a secret is carried over from a stage",
			files{"Dockerfile": "FROM a AS b\nCOPY . /app\nFROM scratch\nCOPY --from=b /app /\n", "conf.js": token()},
			[]string{"error github-pat conf.js:1 reaches final through line 2"},
		},
		{
			"a secret is only mounted",
			files{"Dockerfile": "FROM a\nRUN --mount=target=/src make\n", "conf.js": token()},
			[]string{"error github-pat conf.js:1 reaches intermediate through line 2"},
		},
		{
			"a secret is sent and taken by nothing",
			files{"Dockerfile": "FROM a\nCOPY a /\nRUN --mount=type=tmpfs,target=/t make\n", "a": "x", "conf.js": token()},
			[]string{"error github-pat conf.js:1 reaches sent"},
		},
		{
			"a secret that no step asks for is a note",
			files{"Dockerfile": "FROM scratch\nCOPY a /\n", "a": "x", "conf.js": token()},
			[]string{"note github-pat conf.js:1 reaches context"},
		},
		{
			"an ignored secret is none",
			files{"Dockerfile": "FROM scratch\nCOPY . /\n", "conf.js": token(), ".dockerignore": "conf.js\n"},
			nil,
		},
		{
			"a secret behind a link that is copied",
			files{"Dockerfile": "FROM scratch\nCOPY conf /c/\n", "conf": "-> real", "real/conf.js": token()},
			[]string{"error github-pat real/conf.js:1 reaches final through line 2"},
		},
		{
			"allowed by path and rule",
			files{
				"Dockerfile": "FROM scratch\nCOPY . /\n", "test/a.js": token(), "src/a.js": token(),
				"stoker.yaml": "findings: {allow: [{path: \"test/**\", rule: github-pat, reason: made up}]}\n",
			},
			[]string{"error github-pat src/a.js:1 reaches final through line 2"},
		},
		{
			"large files by a limit that was set, the one that ships first",
			files{
				"Dockerfile": "FROM scratch\nCOPY big /\n", "big": "12345678", "other": "1234567",
				"small": "1", "stoker.yaml": "budget: {file: 5B}\n", ".dockerignore": "Dockerfile\nstoker.yaml\n.dockerignore\n",
			},
			[]string{"error large-file big reaches final through line 2", "error large-file other reaches context"},
		},
		{
			"sources that are missing or ignored",
			files{
				"Dockerfile": "FROM scratch\nCOPY gone hidden/x a*.txt /x/\nCOPY nodir/*.go /y/\n", "hidden/x": "x",
				".dockerignore": "# local files\nhidden\n",
			},
			[]string{
				"error copy-source-missing gone reaches sent through line 2",
				"error copy-source-ignored hidden/x reaches sent through line 2",
				"error copy-source-missing nodir reaches sent through line 3",
			},
		},
		{
			"a source behind links is there",
			files{"Dockerfile": "FROM scratch\nCOPY l/x /\n", "l": "-> /deep/m", "deep/m": "-> ../real", "real/x": "x"},
			nil,
		},
		{
			"a source behind a link that is ignored is not (the link on the way counts as taken)",
			files{"Dockerfile": "FROM scratch\nCOPY l/x /\n", "l": "-> real", "real/x": "x", ".dockerignore": "real\n"},
			[]string{"error copy-source-missing l/x reaches sent through line 2", "note broken-link l reaches final through line 2"},
		},
		{
			"links to nowhere and out of the context; absolute ones are for the image",
			files{"Dockerfile": "FROM scratch\nCOPY . /\n", "a": "-> gone", "b": "-> ../../x", "c": "-> /usr/bin/x", "d": "-> .", "e": "-> Dockerfile"},
			[]string{"note broken-link a reaches final through line 2", "note broken-link b reaches final through line 2"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := open(t, newRepository(t, tt.files))
			var got []string
			for _, f := range p.Findings {
				got = append(got, summary(f))
				if f.Fingerprint == "" || f.Message == "" || f.Definition == "" {
					t.Errorf("finding is not complete: %+v", f)
				}
				if strings.Contains(f.Message, "ghp_") {
					t.Errorf("message shows the secret: %s", f.Message)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSpecialFiles(t *testing.T) {
	root := newRepository(t, map[string]string{"Dockerfile": "FROM scratch\nCOPY run /run\n", "run/a": "x"})
	if err := syscall.Mkfifo(filepath.Join(root, "run/pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	// The path of a socket may be short only.
	t.Chdir(root)
	l, err := net.Listen("unix", "run/sock")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var got []string
	for _, f := range open(t, root).Findings {
		got = append(got, summary(f)+": "+f.Message)
	}
	want := []string{
		"warning special-file run/pipe reaches final through line 2: a FIFO is sent as one: add it to the ignore file",
		"warning special-file run/sock reaches final through line 2: a socket is sent as one: add it to the ignore file",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}

// TestSecretsAreRemembered puts results of its own in the cache: when all files
// are looked at again, because the Dockerfile has changed, that of a file which
// did not change must come back, and those of others must be gone. Nothing is
// remembered of a file that is gone.
func TestSecretsAreRemembered(t *testing.T) {
	root := newRepository(t, map[string]string{"Dockerfile": "FROM scratch\nCOPY . /\n", "same.js": "1", "other.js": "1"})
	o := &Opener{Secrets: NewSecretCache()}
	p, err := o.Open(t.Context(), root, false)
	if err != nil {
		t.Fatal(err)
	}
	for f := range p.Builds[0].Selection.Main.All() {
		planted := secrets.Finding{Rule: "planted", Path: f.Path, Severity: "error", Line: 1, Message: "planted", Fingerprint: "x"}
		o.Secrets.remember(root, f, scanned{stamp: f.Stamp(), findings: []secrets.Finding{planted}})
	}
	for name, text := range map[string]string{"other.js": "2", "Dockerfile": "FROM scratch\nCOPY . /app\n"} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	next, err := o.Update(t.Context(), p, map[string][]string{root: {"other.js", "Dockerfile"}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range next.Findings {
		got = append(got, f.Rule+" "+f.Path)
	}
	if diff := cmp.Diff([]string{"planted same.js"}, got); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
	if err := os.Remove(filepath.Join(root, "same.js")); err != nil {
		t.Fatal(err)
	}
	if _, err := o.Update(t.Context(), next, map[string][]string{root: {"same.js"}}); err != nil {
		t.Fatal(err)
	}
	r := o.Secrets.roots[root]
	if len(r.seen) != 2 || len(r.found) != 0 {
		t.Errorf("remembers %d files and %d results, want those of 2 files", len(r.seen), len(r.found))
	}
	if _, err := o.Open(t.Context(), root, false); err != nil || len(r.seen) != 2 {
		t.Errorf("remembers %d files after %v", len(r.seen), err)
	}
}

// TestBinaryFilesAreNotScanned: a secret's text in a file with a zero byte is
// noise to the rules; in a text file of the same length it is found.
func TestBinaryFilesAreNotScanned(t *testing.T) {
	secret := "key = \"" + "AKIA" + "Z7XQ5RTL2WMKPVYN" + "\"\n" // put together here, so that nobody finds it in this file
	root := newRepository(t, map[string]string{
		"Dockerfile": "FROM scratch\nCOPY . /\n",
		"text.conf":  secret + strings.Repeat("a", 9000),
		"video.conf": "\x00" + secret + strings.Repeat("a", 9000),
	})
	p, err := (&Opener{Secrets: NewSecretCache()}).Open(t.Context(), root, false)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range p.Findings {
		got = append(got, f.Path)
	}
	if diff := cmp.Diff([]string{"text.conf"}, got); diff != "" {
		t.Errorf("files with findings (-want +got):\n%s", diff)
	}
}

func TestPrune(t *testing.T) {
	tests := []struct {
		name  string
		files map[string]string
		dir   string
		want  bool
	}{
		{"ignored", map[string]string{".dockerignore": "node_modules\n"}, "node_modules", true},
		{"in the context", nil, "node_modules", false},
		{"git in the context", nil, ".git", false},
		{"git ignored, below the branches", map[string]string{".dockerignore": ".git\n"}, ".git/objects", true},
		{"git ignored, its folder says where HEAD is", map[string]string{".dockerignore": ".git\n"}, ".git", false},
		{"git ignored, its branches", map[string]string{".dockerignore": ".git\n"}, ".git/refs/heads/x", false},
		{"an exception below", map[string]string{".dockerignore": "a\n!a/b/c\n"}, "a/b", false},
		{"one of two builds needs it", map[string]string{".dockerignore": "a\n", "x.Dockerfile": "FROM scratch\nCOPY a /\n", "x.Dockerfile.dockerignore": "b\n"}, "a", false},
		{"neither of two builds needs it", map[string]string{".dockerignore": "a\n", "x.Dockerfile": "FROM scratch\n", "x.Dockerfile.dockerignore": "a\n"}, "a", true},
		{"a Dockerfile lies below", map[string]string{".dockerignore": "docker\n", "docker/Dockerfile": "FROM scratch\nCOPY main.go /\n"}, "docker", false},
		{"an ignore file that does not parse prunes nothing", map[string]string{".dockerignore": "a\n!\n"}, "a", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			files := map[string]string{"Dockerfile": "FROM scratch\nCOPY . /\n", "main.go": "x", "a/b/c": "x"}
			for name, text := range tt.files {
				files[name] = text
			}
			root := newRepository(t, files)
			if got := open(t, root).Prune(root)(tt.dir); got != tt.want {
				t.Errorf("Prune(%q) = %v, want %v", tt.dir, got, tt.want)
			}
		})
	}
}
