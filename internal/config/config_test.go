package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/stokerd/stoker/internal/config"
)

const whole = `# what the product page shows
builds:
  api:
    context: .
    dockerfile: docker/../Dockerfile
    target: runtime
    args: {NODE_ENV: production, VERSION: 1.10, DEBUG: true}
    platforms: [linux/amd64, linux/arm/v7]
  web: {context: web}
  docs:
budget: {context: 50MB, sent: 20 MiB, file: 1.5kB, files: 10000}
findings: {allow: [{path: "test/fixtures/**", rule: generic-api-key, reason: "made-up keys"}]}
prewarm: {level: off, quiet: 500ms}
builder: buildx:big
`

func wantWhole() config.Config {
	return config.Config{
		Builds: []config.Build{
			{
				Name: "api", Context: ".", Dockerfile: "Dockerfile", Target: "runtime",
				Args:      map[string]string{"NODE_ENV": "production", "VERSION": "1.10", "DEBUG": "true"},
				Platforms: []string{"linux/amd64", "linux/arm/v7"}, Line: 3,
			},
			{Name: "web", Context: "web", Dockerfile: "Dockerfile", Line: 9},
			{Name: "docs", Context: ".", Dockerfile: "Dockerfile", Line: 10},
		},
		Budget:      config.Budget{Context: 50_000_000, Sent: 20 * 1024 * 1024, File: 1500, Files: 10_000},
		Allow:       []config.Allow{{Path: "test/fixtures/**", Rule: "generic-api-key", Reason: "made-up keys", Line: 12}},
		Prewarm:     config.Prewarm{Level: config.LevelOff, LevelFrom: config.FromRepository, Quiet: 500 * time.Millisecond},
		Builder:     "buildx:big",
		BuilderFrom: config.FromRepository,
	}
}

func TestEveryKey(t *testing.T) {
	// The same file with a byte order mark and Windows line ends means the same.
	for name, text := range map[string]string{
		"unix":    whole,
		"windows": "\ufeff" + strings.ReplaceAll(whole, "\n", "\r\n"),
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			write(t, filepath.Join(root, config.FileName), text)
			f, err := config.ReadRepository(root)
			if err != nil {
				t.Fatal(err)
			}
			got := config.Merge(config.Flags{}, f, nil, true)
			if diff := cmp.Diff(wantWhole(), got); diff != "" {
				t.Errorf("configuration differs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNothingGiven(t *testing.T) {
	for _, text := range []string{"", "\n", "# only a comment\n", "---\n", "{}\n", "budget:\n"} {
		f, err := config.ParseRepository("stoker.yaml", []byte(text))
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if diff := cmp.Diff(config.Default(), config.Merge(config.Flags{}, f, nil, true)); diff != "" {
			t.Errorf("%q is not the default (-want +got):\n%s", text, diff)
		}
	}
}

func TestErrors(t *testing.T) {
	archive, err := txtar.ParseFile("testdata/errors.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(archive.Files); i += 2 {
		in, want := archive.Files[i], archive.Files[i+1]
		if want.Name != in.Name+".want" {
			t.Fatalf("%s is followed by %s", in.Name, want.Name)
		}
		t.Run(in.Name, func(t *testing.T) {
			var err error
			if strings.HasSuffix(in.Name, ".user") {
				_, err = config.ParseUser("config.yaml", in.Data)
			} else {
				_, err = config.ParseRepository("stoker.yaml", in.Data)
			}
			if err == nil {
				t.Fatal("was accepted")
			}
			if diff := cmp.Diff(string(want.Data), err.Error()+"\n"); diff != "" {
				t.Errorf("messages differ (-want +got):\n%s", diff)
			}
			if strings.Contains(err.Error(), "sesame") {
				t.Error("the message shows the value of a build arg")
			}
		})
	}
}

func TestBadBytes(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"latin1", "builder: auto\n# caf\xe9\n", "stoker.yaml:2:6: is not text; save it as UTF-8"},
		{"nul", "a\x00", "stoker.yaml:1:2: is not text; save it as UTF-8"},
		{"brackets", "a:\n" + strings.Repeat("[", 1<<20-10), "stoker.yaml:2:1: is nested too deeply; no key needs more than a few levels"},
		{"markers", strings.Repeat("- ", 1<<19), "stoker.yaml:1:1: is nested too deeply; no key needs more than a few levels"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := config.ParseRepository("stoker.yaml", []byte(tt.text))
			if err == nil || err.Error() != tt.want {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func TestMergeOrder(t *testing.T) {
	parse := func(read func(string, []byte) (*config.File, error), text string) *config.File {
		t.Helper()
		f, err := read("f", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	repository := parse(config.ParseRepository, "builder: tcp://evil:1\nprewarm: {level: all}\nbudget: {sent: 1MB}\n")
	user := parse(config.ParseUser, "builder: docker\nprewarm: {level: base, quiet: 9s, secrets: [npm]}\nbudget: {sent: 2MB, context: 3MB}\n")
	lowering := parse(config.ParseRepository, "prewarm: {level: off}\n")
	flagBuilder, flagLevel := "unix:///b.sock", config.LevelDeps

	for _, tt := range []struct {
		name             string
		flags            config.Flags
		repository, user *config.File
		allowed          bool
		builder          string
		builderFrom      config.Source
		level            config.Level
		levelFrom        config.Source
		held             []string
	}{
		{"defaults", config.Flags{}, nil, nil, false, "auto", config.FromDefault, config.LevelDeps, config.FromDefault, nil},
		{"user", config.Flags{}, nil, user, false, "docker", config.FromUser, config.LevelBase, config.FromUser, nil},
		{"unallowed", config.Flags{}, repository, user, false, "docker", config.FromUser, config.LevelBase, config.FromUser, []string{"builder", "prewarm.level"}},
		{"unallowed, no user file", config.Flags{}, repository, nil, false, "auto", config.FromDefault, config.LevelDeps, config.FromDefault, []string{"builder", "prewarm.level"}},
		{"allowed", config.Flags{}, repository, user, true, "tcp://evil:1", config.FromRepository, config.LevelAll, config.FromRepository, nil},
		{"lowering needs no leave", config.Flags{}, lowering, user, false, "docker", config.FromUser, config.LevelOff, config.FromRepository, nil},
		{"flags", config.Flags{Builder: &flagBuilder, Level: &flagLevel}, repository, user, true, flagBuilder, config.FromFlag, config.LevelDeps, config.FromFlag, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := config.Merge(tt.flags, tt.repository, tt.user, tt.allowed)
			if got.Builder != tt.builder || got.BuilderFrom != tt.builderFrom {
				t.Errorf("builder %s from %s, want %s from %s", got.Builder, got.BuilderFrom, tt.builder, tt.builderFrom)
			}
			if got.Prewarm.Level != tt.level || got.Prewarm.LevelFrom != tt.levelFrom {
				t.Errorf("level %s from %s, want %s from %s", got.Prewarm.Level, got.Prewarm.LevelFrom, tt.level, tt.levelFrom)
			}
			if diff := cmp.Diff(tt.held, got.Held); diff != "" {
				t.Errorf("held differs (-want +got):\n%s", diff)
			}
		})
	}

	got := config.Merge(config.Flags{}, repository, user, false)
	if want := (config.Budget{Context: 3_000_000, Sent: 1_000_000, File: 5_000_000}); got.Budget != want {
		t.Errorf("budget %+v, want %+v", got.Budget, want)
	}
	if got.Prewarm.Quiet != 9*time.Second || !cmp.Equal(got.Prewarm.Secrets, []string{"npm"}) {
		t.Errorf("the user's prewarm is lost: %+v", got.Prewarm)
	}
}

func TestCovers(t *testing.T) {
	for _, tt := range []struct {
		pattern, path string
		want          bool
	}{
		{"test/fixtures/**", "test/fixtures/a/b.pem", true},
		{"test/fixtures/**", "test/fixtures", true},
		{"test/fixtures/**", "test/other/a", false},
		{"**/*.pem", "a.pem", true},
		{"**/*.pem", "x/y/a.pem", true},
		{"**/*.pem", "x/y/a.pem.txt", false},
		{"*.pem", "x/a.pem", false},
		{"a/**/z", "a/z", true},
		{"a/**/z", "a/b/c/z", true},
		{"a/**/z", "a/b/c", false},
		{"**", "anything/at/all", true},
		{strings.Repeat("**/a/", 30) + "b", strings.Repeat("a/", 500) + "c", false},
	} {
		if got := (config.Allow{Path: tt.pattern}).Covers(tt.path, "any"); got != tt.want {
			t.Errorf("%s on %s: %v", tt.pattern, tt.path, got)
		}
	}
	if (config.Allow{Path: "**", Rule: "a"}).Covers("x", "b") {
		t.Error("an entry covers another rule")
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
