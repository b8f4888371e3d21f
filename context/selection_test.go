package buildctx_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	buildctx "github.com/stokerd/stoker/context"
)

var update = flag.Bool("update", false, "rewrite the expected selections in testdata/selection")

// TestSelection compares the selection of each scenario in testdata/selection
// with the one written there. A scenario is a directory, a file `options` of
// lines
//
//	dir NAME             the context, the root of the archive unless said
//	dockerfile NAME      Dockerfile in the context unless said
//	named NAME=DIR       a named context
//	mkdir NAME, link NAME TARGET, hard NAME OLD
//
// and a file `want`: each local context with its sizes, then its files, each
// with what it adds, how far it gets and the lines of the steps that take it.
func TestSelection(t *testing.T) {
	files, err := filepath.Glob("testdata/selection/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			def, want := unpack(t, archive)
			got := selected(t, def)
			if *update {
				archive.Files[want].Data = []byte(got)
				if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(archive.Files[want].Data), got); diff != "" {
				t.Errorf("selection (-want +got):\n%s", diff)
			}
		})
	}
}

// unpack writes the archive to a folder and returns the definition in it, and
// the index of the file `want`.
func unpack(t *testing.T, archive *txtar.Archive) (def buildctx.Definition, want int) {
	t.Helper()
	root := t.TempDir()
	def = buildctx.Definition{Name: "case", Context: root, NamedContexts: map[string]string{}}
	var options []string
	want = -1
	for i, f := range archive.Files {
		switch f.Name {
		case "want":
			want = i
		case "options":
			options = strings.Split(strings.TrimSpace(string(f.Data)), "\n")
		default:
			name := filepath.Join(root, f.Name)
			check(t, os.MkdirAll(filepath.Dir(name), 0o755))
			check(t, os.WriteFile(name, f.Data, 0o644))
		}
	}
	for _, line := range options {
		word, rest, _ := strings.Cut(line, " ")
		name, arg, _ := strings.Cut(rest, " ")
		abs := filepath.Join(root, name)
		switch word {
		case "dir":
			def.Context = abs
		case "dockerfile":
			def.Dockerfile = abs
		case "named":
			key, dir, _ := strings.Cut(rest, "=")
			def.NamedContexts[key] = filepath.Join(root, dir)
		case "mkdir":
			check(t, os.MkdirAll(abs, 0o755))
		case "link":
			check(t, os.Symlink(arg, abs))
		case "hard":
			check(t, os.Link(filepath.Join(root, arg), abs))
		default:
			t.Fatalf("unknown option %q", line)
		}
	}
	if def.Dockerfile == "" {
		def.Dockerfile = filepath.Join(def.Context, "Dockerfile")
	}
	if want < 0 {
		t.Fatal("the archive has no file `want`")
	}
	return def, want
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// compute selects def's files from trees of the directories around its contexts.
func compute(t *testing.T, def buildctx.Definition) (*buildctx.Selection, error) {
	t.Helper()
	return buildctx.Compute(t.Context(), def, nil, func(dir string) (*buildctx.Tree, string, error) {
		// As in a repository of which only a part is built.
		tree, err := buildctx.Scan(t.Context(), filepath.Dir(dir), nil)
		return tree, filepath.Base(dir), err
	})
}

// selected returns the selection of def in the form of the file `want`.
func selected(t *testing.T, def buildctx.Definition) string {
	t.Helper()
	s, err := compute(t, def)
	if err != nil {
		return "error " + strings.ReplaceAll(err.Error(), def.Context+"/", "") + "\n"
	}
	var b strings.Builder
	for _, l := range s.Locals() {
		fmt.Fprintf(&b, "%s: %d files, %d bytes; sent %d files, %d bytes\n", l.Name, l.Context.Files, l.Context.Bytes, l.Sent.Files, l.Sent.Bytes)
		for f := range l.All() {
			reach, _ := s.Reach(l, f)
			fmt.Fprintf(&b, "%8s %3d %s", reach, f.Bytes, f.Path)
			if f.Link != "" {
				fmt.Fprintf(&b, " -> %s", f.Link)
			}
			for _, i := range f.Steps {
				fmt.Fprintf(&b, " @%s", s.Plan.Steps[i].Lines)
			}
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// TestUnreadable needs a user to whom permissions apply, so a run by root runs the
// test again as nobody.
func TestUnreadable(t *testing.T) {
	if os.Getuid() == 0 {
		if runtime.GOOS != "linux" {
			t.Fatal("run the tests as an ordinary user")
		}
		dir, err := os.MkdirTemp("/tmp", "stoker-unreadable-")
		check(t, err)
		defer os.RemoveAll(dir)
		check(t, os.Chmod(dir, 0o777))
		program, err := os.ReadFile("/proc/self/exe")
		check(t, err)
		check(t, os.WriteFile(filepath.Join(dir, "test"), program, 0o755))
		cmd := exec.Command(filepath.Join(dir, "test"), "-test.run=^TestUnreadable$", "-test.v")
		cmd.Dir, cmd.Env = dir, []string{"TMPDIR=" + dir}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "--- PASS: TestUnreadable") {
			t.Fatalf("as nobody: %v\n%s", err, out)
		}
		return
	}
	root := t.TempDir()
	for name, text := range map[string]string{"Dockerfile": "FROM scratch\nCOPY . /\n", "narrow": "FROM scratch\nCOPY a /\n", "a": "x", "private/x": "x"} {
		check(t, os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755))
		check(t, os.WriteFile(filepath.Join(root, name), []byte(text), 0o644))
	}
	check(t, os.Chmod(filepath.Join(root, "private"), 0))
	defer os.Chmod(filepath.Join(root, "private"), 0o755)
	def := buildctx.Definition{Context: root, Dockerfile: filepath.Join(root, "Dockerfile")}

	_, err := compute(t, def)
	var unreadable *buildctx.UnreadableError
	if !errors.As(err, &unreadable) || unreadable.Path != "private" {
		t.Fatalf("error is %v, want that private cannot be read", err)
	}
	if !strings.Contains(unreadable.Hint(), `"private"`) {
		t.Errorf("hint does not name the directory: %s", unreadable.Hint())
	}
	narrow := buildctx.Definition{Context: root, Dockerfile: filepath.Join(root, "narrow")}
	if _, err := compute(t, narrow); err != nil {
		t.Errorf("a directory that no step asks for need not be readable: %v", err)
	}
	check(t, os.WriteFile(filepath.Join(root, ".dockerignore"), []byte("private\n"), 0o644))
	if _, err := compute(t, def); err != nil {
		t.Errorf("an ignored directory need not be readable: %v", err)
	}
}
