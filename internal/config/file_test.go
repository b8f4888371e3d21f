package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stokerd/stoker/internal/config"
)

func TestReadRepositoryFile(t *testing.T) {
	for _, tt := range []struct {
		name  string
		setup func(t *testing.T, root, file string)
		want  string // the error; empty means it is read
	}{
		{"link inside", func(t *testing.T, root, file string) {
			write(t, filepath.Join(root, "etc/stoker.yaml"), "builder: docker\n")
			symlink(t, "etc/stoker.yaml", file)
		}, ""},
		{"link outside", func(t *testing.T, root, file string) {
			write(t, filepath.Join(filepath.Dir(root), "secret.yaml"), "builder: docker\n")
			symlink(t, "../secret.yaml", file)
		}, "stoker.yaml: is a link to ../secret.yaml, which cannot be followed inside the repository; replace it with a file"},
		{"link to nothing", func(t *testing.T, _, file string) {
			symlink(t, "gone.yaml", file)
		}, "stoker.yaml: is a link to a file that does not exist; mend or remove it"},
		{"directory", func(t *testing.T, _, file string) {
			if err := os.Mkdir(file, 0o755); err != nil {
				t.Fatal(err)
			}
		}, "stoker.yaml: is not a regular file; replace it with one"},
		{"too large", func(t *testing.T, _, file string) {
			write(t, file, strings.Repeat("# more\n", 1<<20/7+1))
		}, "stoker.yaml: is larger than 1 MiB; is it the right file?"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := filepath.Join(t.TempDir(), "repository")
			if err := os.Mkdir(root, 0o755); err != nil {
				t.Fatal(err)
			}
			tt.setup(t, root, filepath.Join(root, config.FileName))
			f, err := config.ReadRepository(root)
			switch {
			case tt.want == "" && err != nil:
				t.Fatal(err)
			case tt.want == "" && config.Merge(config.Flags{}, f, nil, true).Builder != "docker":
				t.Error("the file was not read")
			case tt.want != "" && (err == nil || err.Error() != tt.want):
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func TestAbsentFiles(t *testing.T) {
	if f, err := config.ReadRepository(t.TempDir()); f != nil || err != nil {
		t.Errorf("repository: %v, %v", f, err)
	}
	if f, err := config.ReadUser(filepath.Join(t.TempDir(), "stoker", "config.yaml")); f != nil || err != nil {
		t.Errorf("user: %v, %v", f, err)
	}
}

func TestUserFileMayBeALink(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "dotfiles/stoker.yaml"), "prewarm: {secrets: [npm, ssh]}\n")
	symlink(t, filepath.Join(dir, "dotfiles/stoker.yaml"), filepath.Join(dir, "config.yaml"))
	f, err := config.ReadUser(filepath.Join(dir, "config.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Secrets) != 2 {
		t.Errorf("secrets %v", f.Secrets)
	}
}

func TestUserPath(t *testing.T) {
	for _, tt := range []struct{ xdg, home, want string }{
		{"/x", "/home/a", "/x/stoker/config.yaml"},
		{"", "/home/a", "/home/a/.config/stoker/config.yaml"},
		{"relative", "/home/a", "/home/a/.config/stoker/config.yaml"},
		{"", "", ""},
	} {
		got := config.UserPath(func(name string) string {
			return map[string]string{"XDG_CONFIG_HOME": tt.xdg, "HOME": tt.home}[name]
		})
		if got != tt.want {
			t.Errorf("%+v: got %q", tt, got)
		}
	}
}

func symlink(t *testing.T, target, name string) {
	t.Helper()
	if err := os.Symlink(target, name); err != nil {
		t.Fatal(err)
	}
}
