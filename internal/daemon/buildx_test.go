package daemon_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/buildkit/client"

	"github.com/stokerd/stoker/internal/lab"
)

// A buildx runs `docker buildx build` for a user with a home of their own, on the builder under
// test. Unlike BuildKit's plain client, it chooses refs, keys for what it sends and attributes.
type buildx struct {
	t       *testing.T
	program string
	env     []string
}

// newBuildx returns a buildx with a remote builder at address, which is chosen.
func newBuildx(t *testing.T, home, address string) *buildx {
	t.Helper()
	x := newDockerBuild(t, home, "")
	if _, err := x.run("create", "--name", "lab", "--driver", "remote", "--use", address); err != nil {
		t.Fatal(err)
	}
	return x
}

// newDockerBuild returns a buildx for which no builder is chosen, so that it builds on the
// Engine, as `docker build` does.
func newDockerBuild(t *testing.T, home, engine string) *buildx {
	t.Helper()
	program, err := lab.Buildx(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return &buildx{t: t, program: program, env: []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "DOCKER_CONFIG=" + filepath.Join(home, ".docker"), "DOCKER_HOST=" + engine,
	}}
}

// run runs a command of buildx, and returns what it writes to stderr.
func (x *buildx) run(args ...string) ([]byte, error) { return x.runIn("", args...) }

// runIn is run with dir as the working directory.
func (x *buildx) runIn(dir string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(context.WithoutCancel(x.t.Context()), x.program, args...)
	cmd.Env, cmd.Dir = x.env, dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	err := cmd.Run()
	return stderr.Bytes(), err
}

// build builds dir, and returns the build's ref and which steps buildx showed to run, as
// sawRun notes them.
func (x *buildx) build(dir string, args map[string]string, noCache bool) (ref string, ran map[string]bool) {
	x.t.Helper()
	metadataFile := filepath.Join(x.t.TempDir(), "metadata.json")
	command := []string{"build", "--progress", "rawjson", "--metadata-file", metadataFile}
	for name, value := range args {
		command = append(command, "--build-arg", name+"="+value)
	}
	if noCache {
		command = append(command, "--no-cache")
	}
	progress, err := x.run(append(command, dir)...)
	if err != nil {
		x.t.Fatalf("buildx: %v\n%s", err, progress)
	}
	var metadata struct {
		Ref string `json:"buildx.build.ref"` // builder/node/ref
	}
	text, err := os.ReadFile(metadataFile)
	if err == nil {
		err = json.Unmarshal(text, &metadata)
	}
	if err != nil {
		x.t.Fatal(err)
	}
	ran = map[string]bool{}
	lines := bufio.NewScanner(bytes.NewReader(progress))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var status client.SolveStatus
		if json.Unmarshal(lines.Bytes(), &status) == nil { // warnings are plain text
			sawRun(ran, &status)
		}
	}
	return path.Base(metadata.Ref), ran
}

// sawRun notes in ran which steps a client saw run, by their place, such as "[build 3/7]".
func sawRun(ran map[string]bool, s *client.SolveStatus) {
	for _, v := range s.Vertexes {
		if prefix, _, ok := strings.Cut(v.Name, "] "); ok && strings.HasPrefix(prefix, "[") && strings.Contains(prefix, "/") {
			ran[prefix+"]"] = v.Started != nil && v.Completed != nil && !v.Cached
		}
	}
}
