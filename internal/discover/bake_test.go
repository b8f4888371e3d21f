//go:build unix

package discover_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stokerd/stoker/internal/config"
	"github.com/stokerd/stoker/internal/discover"
)

// fakeDocker is a docker command that leaves its arguments in a file beside
// it and then runs script.
func fakeDocker(t *testing.T, script string) (docker, log string) {
	t.Helper()
	dir := t.TempDir()
	docker, log = filepath.Join(dir, "docker"), filepath.Join(dir, "log")
	text := "#!/bin/sh\necho \"$PWD: $*\" >> '" + log + "'\n" + script + "\n"
	if err := os.WriteFile(docker, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return docker, log
}

func TestBakeHCL(t *testing.T) {
	const printed = `cat <<'END'
{"group": {"default": {"targets": ["api"]}},
 "target": {"api": {"context": "src", "dockerfile": "Dockerfile.api", "args": {"K": "v", "UNSET": null}, "platforms": ["linux/amd64"]},
            "web": {"context": "https://example.org/web.git", "dockerfile-inline": "FROM scratch"}}}
END`
	for _, tt := range []struct {
		name, script string
		allowed      bool
		want         string
	}{
		{"not allowed", printed, false, "note docker-bake.hcl:0: was not read, because docker buildx evaluates it only once the repository is allowed (stoker allow)\n"},
		{"allowed", printed, true, "api (docker-bake.hcl): context src dockerfile src/Dockerfile.api arg K=v platform linux/amd64\n" +
			"web (docker-bake.hcl): context https://example.org/web.git inline \"FROM scratch\"\n"},
		{"no plugin", "echo \"docker: 'buildx' is not a docker command.\" >&2; exit 1", true,
			"note docker-bake.hcl:0: was not read, because docker buildx is not installed\n"},
		{"bad file", "echo 'docker-bake.hcl:3' >&2; echo 'docker-bake.hcl:3,1-2: Invalid block definition; sesame' >&2; exit 1", true,
			"problem docker-bake.hcl:0: docker buildx bake --print: docker-bake.hcl:3,1-2: Invalid block definition; see `docker buildx bake --print`\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := t.TempDir()
			write(t, filepath.Join(root, "docker-bake.hcl"), "target \"api\" {}\n")
			write(t, filepath.Join(root, "docker-bake.override.json"), "{}\n")
			docker, log := fakeDocker(t, tt.script)
			result, err := discover.Discover(t.Context(), root, config.Config{}, discover.Options{
				Docker: docker, Allowed: tt.allowed, Env: map[string]string{"PATH": os.Getenv("PATH")},
			})
			if err != nil {
				t.Fatal(err)
			}
			if got := show(root, result); got != tt.want {
				t.Errorf("got\n%swant\n%s", got, tt.want)
			}
			ran, err := os.ReadFile(log)
			if tt.allowed != (err == nil) {
				t.Errorf("docker ran: %v, allowed: %v", err == nil, tt.allowed)
			}
			if tt.allowed && !strings.HasSuffix(string(ran), "buildx bake --print --file docker-bake.hcl --file docker-bake.override.json *\n") {
				t.Errorf("docker was given %s", ran)
			}
		})
	}
}

func TestBakeWithoutDocker(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "docker-bake.hcl"), "target \"api\" {}\n")
	// A docker of the repository's own, on a relative PATH, is not run.
	write(t, filepath.Join(root, "docker"), "#!/bin/sh\ntouch canary\n")
	if err := os.Chmod(filepath.Join(root, "docker"), 0o755); err != nil {
		t.Fatal(err)
	}
	result, err := discover.Discover(t.Context(), root, config.Config{}, discover.Options{
		Allowed: true, Env: map[string]string{"PATH": ".:bin"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := "note docker-bake.hcl:0: was not read, because docker buildx is not installed\n"; show(root, result) != want {
		t.Errorf("got %s", show(root, result))
	}
	if _, err := os.Stat(filepath.Join(root, "canary")); err == nil {
		t.Error("the repository's own docker was run")
	}
}

func TestEndlessFiles(t *testing.T) {
	for name, text := range map[string]string{
		"include":  "include: [/dev/zero]\nservices: {a: {build: .}}\n",
		"extends":  "services: {a: {build: ., extends: {file: /dev/zero, service: b}}}\n",
		"env_file": "include: [{path: part.yaml, env_file: /dev/zero}]\nservices: {a: {build: .}}\n",
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			write(t, filepath.Join(root, "compose.yaml"), text)
			write(t, filepath.Join(root, "part.yaml"), "services: {p: {image: x}}\n")
			result, err := discover.Discover(t.Context(), root, config.Config{}, discover.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if len(result.Problems) != 1 || len(result.Definitions) != 0 {
				t.Errorf("got %s", show(root, result))
			}
		})
	}
}
