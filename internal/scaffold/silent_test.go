package scaffold_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/cli"
	"github.com/stokerd/stoker/internal/scaffold"
)

// shell runs stoker as a user does, in a folder, with a home of its own and a builder
// that is not there.
type shell struct {
	t    *testing.T
	home string
}

func newShell(t *testing.T) shell {
	s := shell{t, t.TempDir()}
	conf := filepath.Join(s.home, "stoker", "config.yaml")
	if err := os.MkdirAll(filepath.Dir(conf), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(conf, []byte("builder: unix:///no-builder.sock\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

// stoker returns what a command prints, as JSON, and its exit status.
func (s shell) stoker(dir string, answer any, args ...string) int {
	s.t.Helper()
	var stdout, stderr bytes.Buffer
	status := cli.Run(s.t.Context(), cli.Process{
		Stdout: &stdout, Stderr: &stderr, Dir: dir,
		Environ: []string{"HOME=" + s.home, "XDG_CONFIG_HOME=" + s.home, "XDG_STATE_HOME=" + s.home, "XDG_RUNTIME_DIR=" + s.home, "DOCKER_CONFIG=" + s.home, "PATH=" + os.Getenv("PATH")},
	}, append(args, "--json"))
	if err := json.Unmarshal(stdout.Bytes(), answer); err != nil {
		s.t.Fatalf("stoker %s: status %d, %v\n%s%s", strings.Join(args, " "), status, err, stdout.String(), stderr.String())
	}
	return status
}

// repository copies a sample to a repository with a history: its sources change
// often, its manifests now and then.
func repository(t *testing.T, name string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata/apps", name))); err != nil {
		t.Fatal(err)
	}
	git(t, dir, "init", "-q", "-b", "main")
	return dir
}

// commits makes the history.
func commits(t *testing.T, dir string) {
	t.Helper()
	for n, pattern := range []string{"*", "*.[jtpg][soy]*", "*.[jtpg][soy]*", "p*.json", "*.[jtpg][soy]*", "*.[jtpg][soy]*"} {
		_ = filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
			if ok, _ := filepath.Match(pattern, filepath.Base(p)); err == nil && ok && n > 0 && !d.IsDir() && !strings.Contains(p, "/.git/") {
				if f, err := os.OpenFile(p, os.O_APPEND|os.O_WRONLY, 0); err == nil {
					_, _ = f.WriteString("\n")
					_ = f.Close()
				}
			}
			return nil
		})
		git(t, dir, "add", "-A")
		git(t, dir, "-c", "user.name=Ada", "-c", "user.email=ada@example.com", "commit", "-q", "--allow-empty", "-m", "change")
	}
}

func git(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// TestNothingToSay: what init writes for every sample, on every base that it can
// stand on, is nothing that suggest, BuildKit's checks or check have a word to say
// about.
func TestNothingToSay(t *testing.T) {
	for _, name := range samples(t) {
		for _, base := range append([]scaffold.Base{""}, scaffold.Bases()...) {
			if !possible(t, name, base) {
				continue
			}
			t.Run(name+"/"+string(base), func(t *testing.T) {
				t.Parallel()
				s, dir := newShell(t), repository(t, name)
				args := []string{"init", "--all"}
				if base != "" {
					args = append(args, "--base", string(base))
				}
				var made api.Init
				if status := s.stoker(dir, &made, args...); status != 0 {
					t.Fatalf("init: status %d", status)
				}
				if base == "" {
					commits(t, dir)
				}
				s.silent(dir, made)
			})
		}
	}
}

// possible reports that every app of a sample can stand on a base.
func possible(t *testing.T, name string, base scaffold.Base) bool {
	for _, app := range detect(t, name) {
		if _, err := app.Write(base); err != nil {
			return false
		}
	}
	return true
}

// silent holds that suggest and check see nothing wrong, in as many definitions as
// there are apps.
func (s shell) silent(dir string, made api.Init) {
	s.t.Helper()
	var suggested api.Suggest
	if status := s.stoker(dir, &suggested, "suggest"); status != 0 || len(suggested.Definitions) != len(made.Apps) {
		s.t.Errorf("suggest: status %d, %d definitions for %d apps", status, len(suggested.Definitions), len(made.Apps))
	}
	for _, d := range suggested.Definitions {
		if d.Problem != "" {
			s.t.Errorf("%s: %s", d.Name, d.Problem)
		}
		for _, one := range d.Suggestions {
			s.t.Errorf("%s: %s at line %d: %s\n%s\n%s", d.Name, one.Rule, one.Lines[0], one.Title, one.Evidence, one.Obstacle)
		}
	}
	var check api.Check
	if status := s.stoker(dir, &check, "check"); status != 0 || !check.OK {
		s.t.Errorf("check: status %d", status)
	}
	for _, f := range check.Findings {
		s.t.Errorf("check: %s %s:%d %s", f.Rule, f.Path, f.Line, f.Message)
	}
}
