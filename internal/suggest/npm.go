package suggest

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
)

type mount = dockerfile.Mount

// nodeScripts are the package.json scripts that an install without arguments
// runs in the project itself (npm: docs, "scripts", life cycle operation order).
var nodeScripts = []string{
	"preinstall", "install", "postinstall", "prepublish", "preprepare", "prepare", "postprepare", "dependencies",
}

// curious are packages whose own install scripts look into the project that
// installs them: for a schema, a configuration file or hooks.
var curious = []string{
	"@prisma/client", "puppeteer", "msw", "lefthook", "@evilmartians/lefthook", "simple-git-hooks", "pre-commit", "yorkie", "ghooks",
}

// nodeWrites are where npm and its relatives put more than node_modules.
var nodeWrites = []string{"/root/.npm", "/root/.cache", "/root/.local", "/home/node/.npm", "/home/node/.cache", "/usr/local/share/.cache"}

// npmInstall recognises npm ci and npm install without package names.
func npmInstall(c command, dir string) (install, bool) {
	if c.words[0] != "npm" {
		return install{}, false
	}
	flags, rest := c.args(1)
	if len(rest) != 1 || takesValue(flags) {
		return install{}, false
	}
	ci := slices.Contains([]string{"ci", "clean-install"}, rest[0])
	if !ci && !slices.Contains([]string{"install", "i"}, rest[0]) {
		return install{}, false
	}
	in := nodeInstall("npm", dir, []string{"package-lock.json", "npm-shrinkwrap.json"})
	in.wipes = ci
	in.widen = func(r reader) ([]string, string) {
		locked := r.exists("package-lock.json") || r.exists("npm-shrinkwrap.json")
		if ci && !locked {
			return nil, "`npm ci` needs a package-lock.json, and the context has none"
		}
		if more, obstacle := nodeWiden(r, slices.Contains(flags, "--ignore-scripts")); obstacle != "" {
			return more, obstacle
		}
		if !ci && locked && !slices.Contains(flags, "--no-package-lock") && !inStep(r) {
			return nil, "`npm install` would rewrite package-lock.json, which does not agree with package.json: update it, or use `npm ci`"
		}
		return nil, ""
	}
	return in, true
}

// takesValue reports flags whose value would be read as a package's name, or
// that make npm work elsewhere.
func takesValue(flags []string) bool {
	return slices.ContainsFunc(flags, func(f string) bool {
		name, _, _ := strings.Cut(f, "=")
		return slices.Contains([]string{
			"-g", "--global", "--prefix", "-C", "--workspace", "-w", "--workspaces", "--cwd", "--dir", "--userconfig",
			"--location", "--modules-folder", "--recursive", "-r", "--filter", "--cafile", "--cache", "--lockfile-dir",
		}, name)
	})
}

// yarnInstall recognises yarn classic with a frozen lock file.
func yarnInstall(c command, dir string) (install, bool) {
	if c.words[0] != "yarn" {
		return install{}, false
	}
	flags, rest := c.args(1)
	if takesValue(flags) || len(rest) > 1 || len(rest) == 1 && rest[0] != "install" {
		return install{}, false
	}
	ignore := slices.Contains(flags, "--ignore-scripts")
	in := nodeInstall("yarn", dir, []string{"yarn.lock", ".yarnrc"})
	in.widen = func(r reader) ([]string, string) {
		for _, name := range []string{".yarnrc.yml", ".yarn", ".pnp.cjs"} {
			if r.exists(name) {
				return nil, "yarn 2 and later read more than the manifests: " + name + " is there"
			}
		}
		if r.exists("yarn.lock") && !slices.Contains(flags, "--frozen-lockfile") {
			return nil, "`yarn install` may rewrite yarn.lock: use --frozen-lockfile"
		}
		return nodeWiden(r, ignore)
	}
	return in, true
}

// pnpmInstall recognises pnpm install with a frozen lock file.
func pnpmInstall(c command, dir string) (install, bool) {
	if c.words[0] != "pnpm" {
		return install{}, false
	}
	flags, rest := c.args(1)
	if takesValue(flags) || len(rest) != 1 || rest[0] != "install" && rest[0] != "i" {
		return install{}, false
	}
	ignore := slices.Contains(flags, "--ignore-scripts")
	in := nodeInstall("pnpm", dir, []string{"pnpm-lock.yaml"})
	in.widen = func(r reader) ([]string, string) {
		for _, name := range []string{"pnpm-workspace.yaml", ".pnpmfile.cjs", "pnpmfile.js"} {
			if r.exists(name) {
				return nil, "pnpm reads more than the manifests: " + name + " is there"
			}
		}
		if r.exists("pnpm-lock.yaml") && !slices.Contains(flags, "--frozen-lockfile") {
			return nil, "`pnpm install` may rewrite pnpm-lock.yaml: use --frozen-lockfile"
		}
		return nodeWiden(r, ignore)
	}
	return in, true
}

func nodeInstall(tool, dir string, locks []string) install {
	in := install{tool: tool, dir: dir, main: []string{path.Join(dir, "package.json")}, output: "node_modules", writes: nodeWrites}
	for _, name := range append(locks, ".npmrc") {
		in.extra = append(in.extra, path.Join(dir, name))
	}
	return in
}

// A packageJSON is what of a package.json widens what an install reads.
type packageJSON struct {
	Name, Version  string
	PackageManager string
	Scripts        map[string]string
	Workspaces     json.RawMessage
	Gypfile        *bool
	Overrides      json.RawMessage
	Resolutions    json.RawMessage
	Patched        json.RawMessage `json:"patchedDependencies"`
	PNPM           json.RawMessage `json:"pnpm"`
	Directories    json.RawMessage
	dependencies
}

// dependencies are the sections that name packages.
type dependencies struct {
	Dependencies         map[string]string
	DevDependencies      map[string]string
	OptionalDependencies map[string]string
	PeerDependencies     map[string]string
}

// nodeWiden looks in package.json for what makes an install read more than the
// manifests.
func nodeWiden(r reader, ignoreScripts bool) ([]string, string) {
	var pkg packageJSON
	if err := json.Unmarshal(r.file(path.Join(r.dir, "package.json")), &pkg); err != nil {
		return nil, fmt.Sprintf("package.json cannot be read: %v", err)
	}
	if len(pkg.Workspaces) > 0 {
		return nil, "package.json has workspaces: the install reads the package.json of each"
	}
	if !ignoreScripts {
		for _, name := range nodeScripts {
			if _, ok := pkg.Scripts[name]; ok {
				return nil, fmt.Sprintf("package.json has a %s script, which the install runs and which may read the sources", name)
			}
		}
		if r.exists("binding.gyp") {
			return nil, "the install compiles the add-on that binding.gyp describes"
		}
	}
	for _, set := range []map[string]string{pkg.Dependencies, pkg.DevDependencies, pkg.OptionalDependencies, pkg.PeerDependencies} {
		for _, name := range slices.Sorted(maps.Keys(set)) {
			if !ignoreScripts && slices.Contains(curious, name) {
				return nil, fmt.Sprintf("the install script of %s reads files of the project", name)
			}
			if localSpec(set[name]) {
				return nil, fmt.Sprintf("%s is installed from a path of the sources", name)
			}
		}
	}
	for _, raw := range []json.RawMessage{pkg.Overrides, pkg.Resolutions, pkg.Patched, pkg.PNPM} {
		for _, mark := range []string{`"file:`, `"link:`, `"portal:`, `"patch:`, `"./`, `"../`, "patches/"} {
			if strings.Contains(string(raw), mark) {
				return nil, "package.json replaces or patches a package from a path of the sources"
			}
		}
	}
	return nil, ""
}

// localSpec reports a version that names a path.
func localSpec(spec string) bool {
	for _, p := range []string{"file:", "link:", "portal:", "workspace:", "patch:", "./", "../", "/", "~/"} {
		if strings.HasPrefix(spec, p) {
			return true
		}
	}
	return strings.HasSuffix(spec, ".tgz") && !strings.Contains(spec, "://")
}

// inStep reports whether package-lock.json describes package.json as it is, in
// which case npm install leaves it alone.
func inStep(r reader) bool {
	name := path.Join(r.dir, "npm-shrinkwrap.json")
	if r.file(name) == nil {
		name = path.Join(r.dir, "package-lock.json")
	}
	var pkg packageJSON
	var lock struct {
		LockfileVersion int
		Packages        map[string]struct{ dependencies }
	}
	if json.Unmarshal(r.file(path.Join(r.dir, "package.json")), &pkg) != nil || json.Unmarshal(r.file(name), &lock) != nil {
		return false
	}
	root, ok := lock.Packages[""]
	if !ok || lock.LockfileVersion < 2 {
		return false
	}
	a, b := pkg.dependencies, root.dependencies
	return maps.Equal(a.Dependencies, b.Dependencies) && maps.Equal(a.DevDependencies, b.DevDependencies) &&
		maps.Equal(a.OptionalDependencies, b.OptionalDependencies) && maps.Equal(a.PeerDependencies, b.PeerDependencies)
}
