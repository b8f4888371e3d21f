package discover_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/platforms"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/stokerd/stoker/internal/config"
	"github.com/stokerd/stoker/internal/discover"
)

// TestScenarios runs testdata/*.txtar. The files of an archive are a
// repository called "shop"; "want" is what is found in it. Lines of the comment
// that begin with "env " set a variable, "link NAME TARGET" makes a symbolic
// link.
func TestScenarios(t *testing.T) {
	names, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			root, want := unpack(t, archive)
			options := discover.Options{Env: map[string]string{}}
			for line := range strings.Lines(string(archive.Comment)) {
				line = strings.TrimSpace(line)
				if kv, ok := strings.CutPrefix(line, "env "); ok {
					k, v, _ := strings.Cut(kv, "=")
					options.Env[k] = v
				}
			}
			file, err := config.ReadRepository(root)
			if err != nil {
				t.Fatal(err)
			}
			result, err := discover.Discover(t.Context(), root, config.Merge(config.Flags{}, file, nil, false), options)
			if err != nil {
				t.Fatal(err)
			}
			if *discover.Update {
				archive.Files[len(archive.Files)-1].Data = []byte(show(root, result))
				if err := os.WriteFile(name, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(want, show(root, result)); diff != "" {
				t.Errorf("found differs (-want +got):\n%s", diff)
			}
		})
	}
}

// unpack writes the archive's files and returns the repository and "want".
func unpack(t *testing.T, archive *txtar.Archive) (root, want string) {
	t.Helper()
	base, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	root = filepath.Join(base, "shop")
	for _, f := range archive.Files {
		if f.Name == "want" {
			want = string(f.Data)
			continue
		}
		write(t, filepath.Join(root, filepath.FromSlash(f.Name)), string(f.Data))
	}
	for line := range strings.Lines(string(archive.Comment)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "link" {
			if err := os.Symlink(fields[2], filepath.Join(root, fields[1])); err != nil {
				t.Fatal(err)
			}
		}
	}
	return root, want
}

// show writes a result as the scenarios spell it.
func show(root string, r discover.Result) string {
	var b strings.Builder
	local := func(p string) string {
		if rel, err := filepath.Rel(root, p); err == nil && filepath.IsAbs(p) {
			return filepath.ToSlash(rel)
		}
		return p
	}
	for _, d := range r.Definitions {
		fmt.Fprintf(&b, "%s (%s): context %s", d.Name, d.Origin, local(d.Context))
		if d.Inline != "" {
			fmt.Fprintf(&b, " inline %q", d.Inline)
			if d.Shown != "" {
				fmt.Fprintf(&b, " shown %q", d.Shown)
			}
		} else {
			fmt.Fprintf(&b, " dockerfile %s", local(d.Dockerfile))
		}
		if d.Target != "" {
			fmt.Fprintf(&b, " target %s", d.Target)
		}
		for _, name := range d.ArgNames() {
			fmt.Fprintf(&b, " arg %s=%s", name, d.Args[name])
		}
		for _, p := range d.Platforms {
			fmt.Fprintf(&b, " platform %s", p)
		}
		for _, name := range slices.Sorted(maps.Keys(d.NamedContexts)) {
			fmt.Fprintf(&b, " named %s=%s", name, local(d.NamedContexts[name]))
		}
		for _, name := range slices.Sorted(maps.Keys(d.Options.Attrs())) {
			fmt.Fprintf(&b, " option %s=%s", name, d.Options.Attrs()[name])
		}
		if d.Options.Unresolved() {
			b.WriteString(" with the builder's address")
		}
		if d.NoCache || len(d.NoCacheStages) > 0 {
			fmt.Fprintf(&b, " no-cache%q", d.NoCacheStages)
		}
		for _, s := range d.Services {
			if s.User != "" || len(s.Command) > 0 {
				fmt.Fprintf(&b, " starts %q as %q", s.Command, s.User)
			}
		}
		for _, i := range d.Imports {
			fmt.Fprintf(&b, " imports %s:%s", i.Type, i.Ref)
		}
		b.WriteString("\n")
	}
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "note %s:%d: %s\n", n.File, n.Line, n.Text)
	}
	for _, p := range r.Problems {
		fmt.Fprintf(&b, "problem %s:%d: %s; %s\n", p.File, p.Line, p.Text, p.Hint)
	}
	return b.String()
}

func TestCallersPathsAreEnough(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "Dockerfile"), "FROM scratch\n")
	write(t, filepath.Join(root, "unlisted", "Dockerfile"), "FROM scratch\n")
	result, err := discover.Discover(t.Context(), root, config.Config{}, discover.Options{
		Paths: slices.Values([]string{"Dockerfile", "node_modules/a/Dockerfile", "src/main.go"}),
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(result.Definitions) != 1 || result.Definitions[0].Origin != "Dockerfile" || len(result.Problems) != 0 {
		t.Errorf("got %+v", result)
	}
}

func TestConcerns(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "deploy/compose.yaml"), "include: [parts/web.yaml]\n")
	write(t, filepath.Join(root, "deploy/parts/web.yaml"), "services: {web: {build: .}}\n")
	write(t, filepath.Join(root, "deploy/parts/Dockerfile"), "FROM scratch\n")
	result, err := discover.Discover(t.Context(), root, config.Config{}, discover.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{
		"stoker.yaml":             true,
		"deploy/compose.yaml":     true,
		"deploy/parts/web.yaml":   true,
		"deploy/.env":             true,
		"deploy/parts/.env":       true,
		"new/api.Dockerfile":      true,
		"new/Dockerfile-api":      true,
		"new/Dockerfile_api":      true,
		"new/Dockerfile-api.tmpl": false,
		"new/Dockerfiles":         false,
		"docker-bake.hcl":         true,
		"compose.override.yml":    true,
		"new/x.dockerignore":      false,
		"Dockerfile.dockerignore": false,
		"src/main.go":             false,
		".env":                    false,
		"node_modules/Dockerfile": false,
		"target/Dockerfile":       false, // nobody watches it: project, outsideContexts
		".git/Dockerfile":         false,
		"../Dockerfile":           false,
		"other.yaml":              false,
	} {
		if got := result.Concerns(filepath.Join(root, path)); got != want {
			t.Errorf("%s: %v", path, got)
		}
	}
}

// TestLocalPlatform: "local" is the platform of this machine, in a bake and in a compose file, and
// is no second one beside that.
func TestLocalPlatform(t *testing.T) {
	here := platforms.Format(platforms.DefaultSpec())
	root := t.TempDir()
	for name, text := range map[string]string{
		"Dockerfile":      "FROM scratch\n",
		"docker-bake.hcl": "target \"binaries\" {\n platforms = [\"local\", \"" + here + "\", \"linux/riscv64\"]\n}\n",
		"compose.yaml":    "services:\n  web: {build: {context: ., platforms: [Local]}}\n",
	} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	result, err := discover.Discover(t.Context(), root, config.Config{}, discover.Options{Env: map[string]string{}})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]string{}
	for _, d := range result.Definitions {
		got[d.Name] = d.Platforms
	}
	if diff := cmp.Diff(map[string][]string{"binaries": {here, "linux/riscv64"}, "web": {here}}, got); diff != "" {
		t.Error(diff)
	}
}

func TestRepositoryGone(t *testing.T) {
	_, err := discover.Discover(t.Context(), filepath.Join(t.TempDir(), "gone"), config.Config{}, discover.Options{})
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := discover.Discover(ctx, t.TempDir(), config.Config{}, discover.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestLinkNowhere: a link that leads nowhere is told alike, whether what it should lead
// through is not there or is a file: nothing tells the daemon of the difference.
func TestLinkNowhere(t *testing.T) {
	root := t.TempDir()
	if err := os.Symlink("away/compose.yaml", filepath.Join(root, "compose.yaml")); err != nil {
		t.Fatal(err)
	}
	for _, what := range []string{"nothing", "a file"} {
		result, err := discover.Discover(t.Context(), root, config.Config{}, discover.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if len(result.Problems) != 1 || result.Problems[0].Text != "cannot be read: no such file or directory" {
			t.Errorf("through %s: %+v", what, result.Problems)
		}
		if err := os.WriteFile(filepath.Join(root, "away"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
