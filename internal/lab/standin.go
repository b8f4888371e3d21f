package lab

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// standins holds one shell script per tool; standins/README.md says what they promise.
//
//go:embed standins
var standins embed.FS

// standIn describes an image of busybox and of tools, with the names and the settings of a real image.
type standIn struct {
	names []string
	tools map[string]string // by path in the image, the name of a script below standins/
	env   []string          // beside PATH, which every image has
	cmd   []string
	user  string
	bare  bool // without busybox, so that no RUN works in it
}

const defaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

var (
	nodeTools = map[string]string{
		"usr/local/bin/node": "node", "usr/local/bin/npm": "npm", "usr/local/bin/npx": "npm",
		"usr/local/bin/yarn": "npm", "usr/local/bin/pnpm": "npm", "usr/local/bin/corepack": "true",
	}
	pythonTools = map[string]string{
		"usr/local/bin/python": "python", "usr/local/bin/python3": "python",
		"usr/local/bin/pip": "pip", "usr/local/bin/pip3": "pip",
	}
	goTools     = map[string]string{"usr/local/go/bin/go": "go", "usr/local/go/bin/gofmt": "true"}
	debianTools = map[string]string{
		"usr/bin/apt-get": "apt-get", "usr/bin/apt": "apt-get", "usr/sbin/groupadd": "true", "usr/sbin/useradd": "true",
		"usr/share/standins/npm": "npm", // for apt-get install npm
	}
	alpineTools = map[string]string{"sbin/apk": "apk", "usr/share/standins/gcc": "gcc"} // for apk add gcc
)

// catalogue is every stand-in of the lab.
var catalogue = []standIn{
	{names: []string{"busybox:latest", "busybox:stable", "busybox:1.36"}, cmd: []string{"sh"}},
	{names: []string{"alpine:latest", "alpine:3.20", "alpine:3.22"}, tools: alpineTools, cmd: []string{"/bin/sh"}},
	{names: []string{"debian:bookworm", "debian:bookworm-slim", "debian:12-slim", "debian:trixie-slim", "ubuntu:24.04"}, tools: debianTools, cmd: []string{"bash"}},
	{
		names: []string{"node:20", "node:20-slim", "node:20-bookworm-slim", "node:22", "node:22-slim"},
		tools: union(debianTools, nodeTools), env: []string{"NODE_VERSION=20.19.5", "YARN_VERSION=1.22.22"}, cmd: []string{"node"},
	},
	{
		names: []string{"node:24", "node:24-slim", "node:24-trixie", "node:24-trixie-slim"},
		tools: union(debianTools, nodeTools), env: []string{"NODE_VERSION=24.21.0", "YARN_VERSION=1.22.22"}, cmd: []string{"node"},
	},
	{
		names: []string{"node:20-alpine", "node:22-alpine", "node:24-alpine"},
		tools: union(alpineTools, nodeTools), env: []string{"NODE_VERSION=20.19.5", "YARN_VERSION=1.22.22"}, cmd: []string{"node"},
	},
	{
		names: []string{"python:3.12", "python:3.12-slim", "python:3.12-slim-bookworm", "python:3.12-trixie", "python:3.12-slim-trixie"},
		tools: union(debianTools, pythonTools), env: []string{"LANG=C.UTF-8", "PYTHON_VERSION=3.12.11"}, cmd: []string{"python3"},
	},
	{
		names: []string{"python:3.13", "python:3.13-slim", "python:3.13-trixie", "python:3.13-slim-trixie"},
		tools: union(debianTools, pythonTools), env: []string{"LANG=C.UTF-8", "PYTHON_VERSION=3.13.9"}, cmd: []string{"python3"},
	},
	{names: []string{"docker/buildkit-syft-scanner:stable-1"}, tools: map[string]string{"usr/local/bin/sbom": "sbom"}, cmd: []string{"sbom"}},
	{names: []string{"ghcr.io/astral-sh/uv:0.9"}, tools: map[string]string{"uv": "uv"}, bare: true},
	{
		names: []string{"python:3.12-alpine"},
		tools: union(alpineTools, pythonTools), env: []string{"LANG=C.UTF-8", "PYTHON_VERSION=3.12.11"}, cmd: []string{"python3"},
	},
	{
		names: []string{"golang:1.26", "golang:1.26-bookworm", "golang:1.26-trixie"}, tools: union(debianTools, goTools), cmd: []string{"bash"},
		env: []string{"GOLANG_VERSION=1.26.8", "GOTOOLCHAIN=local", "GOPATH=/go"},
	},
	{
		names: []string{"golang:1.26-alpine"}, tools: union(alpineTools, goTools), cmd: []string{"/bin/sh"},
		env: []string{"GOLANG_VERSION=1.26.8", "GOTOOLCHAIN=local", "GOPATH=/go"},
	},
	{
		names: []string{"nginx:latest", "nginx:alpine", "nginx:1.27-alpine", "nginx:1.28-alpine-slim"}, tools: alpineTools,
		env: []string{"NGINX_VERSION=1.27.5"}, cmd: []string{"nginx", "-g", "daemon off;"},
	},
	{
		names: []string{
			"gcr.io/distroless/static-debian12:latest", "gcr.io/distroless/static-debian12:nonroot", "gcr.io/distroless/static-debian13:nonroot",
			"gcr.io/distroless/base-debian13:nonroot",
		},
		user: "65532", bare: true,
	},
}

// union returns the tools of both sets.
func union(a, b map[string]string) map[string]string {
	out := maps.Clone(a)
	maps.Copy(out, b)
	return out
}

// StandIn returns the stand-in for a name as in FROM, such as "node:20". Its digest depends only on
// this machine's busybox and on the scripts.
func StandIn(name string) (v1.Image, error) {
	for _, s := range catalogue {
		if slices.Contains(s.names, name) {
			system, err := systemLayers(s.bare)
			if err != nil {
				return nil, err
			}
			return s.image(system)
		}
	}
	return nil, fmt.Errorf("the lab has no stand-in for %s", name)
}

// StandIns lists the names of all stand-ins.
func StandIns() []string {
	var names []string
	for _, s := range catalogue {
		names = append(names, s.names...)
	}
	return names
}

// image returns the stand-in on top of the layers of the system.
func (s standIn) image(system []v1.Layer) (v1.Image, error) {
	config := v1.Config{Env: append([]string{defaultPath}, s.env...), Cmd: s.cmd, User: s.user}
	if _, ok := s.tools["usr/local/go/bin/go"]; ok {
		config.Env[0] = "PATH=/go/bin:/usr/local/go/bin:" + defaultPath[len("PATH="):]
		config.WorkingDir = "/go"
	}
	if len(s.tools) == 0 {
		return newImage(config, system...)
	}
	files := []file{}
	for _, at := range slices.Sorted(maps.Keys(s.tools)) {
		script, err := standins.ReadFile(path.Join("standins", s.tools[at]))
		if err != nil {
			return nil, fmt.Errorf("read a stand-in: %w", err)
		}
		files = append(files, file{path: at, mode: 0o755, content: script})
	}
	lib, err := standins.ReadFile("standins/standin.sh")
	if err != nil {
		return nil, fmt.Errorf("read a stand-in: %w", err)
	}
	files = append(files, file{path: "usr/local/lib/standin.sh", mode: 0o644, content: lib})
	top, err := layer(files)
	if err != nil {
		return nil, err
	}
	return newImage(config, append(slices.Clone(system), top)...)
}

// systemLayers returns the layers that images have below their tools: accounts, empty directories and,
// unless bare, busybox with a link for each of its commands.
func systemLayers(bare bool) ([]v1.Layer, error) {
	files := []file{
		{path: "etc/passwd", mode: 0o644, content: []byte("root:x:0:0:root:/root:/bin/sh\nnode:x:1000:1000::/home/node:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n")},
		{path: "etc/group", mode: 0o644, content: []byte("root:x:0:\nnode:x:1000:\nnogroup:x:65534:\n")},
		{path: "root/", mode: 0o700},
		{path: "home/node/", mode: 0o755},
		{path: "tmp/", mode: 0o1777},
	}
	if !bare {
		box, err := busyboxPath()
		if err != nil {
			return nil, err
		}
		content, err := os.ReadFile(box)
		if err != nil {
			return nil, fmt.Errorf("read busybox: %w", err)
		}
		list, err := exec.Command(box, "--list").Output()
		if err != nil {
			return nil, fmt.Errorf("list the commands of busybox: %w", err)
		}
		files = append(files, file{path: "bin/busybox", mode: 0o755, content: content},
			file{path: "usr/bin/env", link: "/bin/busybox"}, file{path: "bin/bash", link: "/bin/busybox"})
		for _, applet := range bytes.Fields(list) {
			if string(applet) != "busybox" {
				files = append(files, file{path: "bin/" + string(applet), link: "busybox"})
			}
		}
	}
	l, err := layer(files)
	return []v1.Layer{l}, err
}

// busyboxPath returns the path of a busybox that needs no shared libraries. That of Debian's package
// busybox, which has the same path, needs some, and would not start in an image.
func busyboxPath() (string, error) {
	for _, p := range []string{"/bin/busybox", "/usr/bin/busybox"} {
		b, err := os.ReadFile(p)
		if err == nil && !bytes.Contains(b, []byte("/ld-")) {
			return p, nil
		}
	}
	return "", errors.New("busybox without shared libraries is not here; on Debian or Ubuntu: apt-get install busybox-static")
}

// pushStandIns puts the whole catalogue into the registry.
func (l *Lab) pushStandIns(ctx context.Context) error {
	bare, err := systemLayers(true)
	if err != nil {
		return err
	}
	full, err := systemLayers(false)
	if err != nil {
		return err
	}
	for _, s := range catalogue {
		system := full
		if s.bare {
			system = bare
		}
		img, err := s.image(system)
		if err != nil {
			return err
		}
		for _, name := range s.names {
			if _, err := l.Push(ctx, name, img); err != nil {
				return err
			}
		}
	}
	return nil
}
