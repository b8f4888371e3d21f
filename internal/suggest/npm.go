package suggest

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

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

// npmWiden looks at what npm reads beside the manifests.
func npmWiden(r reader, ci bool, has func(...string) bool) ([]string, string) {
	locked := r.any("package-lock.json", "npm-shrinkwrap.json") != ""
	if ci && !locked {
		return nil, "`npm ci` needs a package-lock.json, and the context has none"
	}
	more, obstacle := nodeWiden(r, has("--ignore-scripts"), nil)
	if obstacle != "" {
		return more, obstacle
	}
	if !ci && locked && !has("--no-package-lock") && !inStep(r) {
		return nil, "`npm install` would rewrite package-lock.json, which does not agree with package.json: update it, or use `npm ci`"
	}
	return more, ""
}

// yarnWiden is npmWiden for yarn: classic, or where .yarnrc.yml is there, yarn 2
// and later, whose program and plugins lie in .yarn.
func yarnWiden(r reader, has func(...string) bool) ([]string, string) {
	var more []string
	if berry := r.exists(".yarnrc.yml"); berry {
		for _, name := range []string{".pnp.cjs", ".pnp.loader.mjs", ".yarn/cache", ".yarn/unplugged", ".yarn/install-state.gz"} {
			if r.exists(name) {
				return nil, "yarn writes " + name + ", which the context brings as well: ignore it first"
			}
		}
		more = append(more, path.Join(r.dir, ".yarnrc.yml"))
		for _, pattern := range []string{".yarn/releases/*", ".yarn/plugins/*", ".yarn/plugins/*/*", ".yarn/patches/*"} {
			more = append(more, r.matching(pattern)...)
		}
	} else if r.any(".yarn", ".pnp.cjs") != "" {
		return nil, "yarn 2 and later read more than the manifests: " + r.any(".yarn", ".pnp.cjs") + " is there"
	}
	if r.exists("yarn.lock") && !has("--frozen-lockfile", "--immutable") {
		return nil, "`yarn install` may rewrite yarn.lock: use --frozen-lockfile"
	}
	files, obstacle := nodeWiden(r, has("--ignore-scripts", "--mode=skip-build"), nil)
	return append(more, files...), obstacle
}

// pnpmWiden is npmWiden for pnpm, whose workspaces stand in a file of their own.
func pnpmWiden(r reader, has func(...string) bool) ([]string, string) {
	if name := r.any(".pnpmfile.cjs", "pnpmfile.js"); name != "" {
		return nil, "pnpm runs " + name + ", which may read anything"
	}
	if r.exists("pnpm-lock.yaml") && !has("--frozen-lockfile") {
		return nil, "`pnpm install` may rewrite pnpm-lock.yaml: use --frozen-lockfile"
	}
	text := r.local("pnpm-workspace.yaml")
	if text == nil {
		return nodeWiden(r, has("--ignore-scripts"), nil)
	}
	if mark := localMark(string(text)); mark != "" {
		return nil, "pnpm-workspace.yaml names a path of the sources: " + mark
	}
	more, obstacle := nodeWiden(r, has("--ignore-scripts"), yamlList(string(text), "packages"))
	return append(more, path.Join(r.dir, "pnpm-workspace.yaml")), obstacle
}

// bunWiden is npmWiden for bun.
func bunWiden(r reader, has func(...string) bool) ([]string, string) {
	if r.any("bun.lock", "bun.lockb") != "" && !has("--frozen-lockfile") {
		return nil, "`bun install` may rewrite the lock file: use --frozen-lockfile"
	}
	return nodeWiden(r, has("--ignore-scripts"), nil)
}

// yamlList reads a list of plain words that stands under a key at the top of a
// YAML file.
func yamlList(text, key string) []string {
	var list []string
	in := false
	for line := range strings.Lines(text) {
		item, ok := strings.CutPrefix(strings.TrimSpace(line), "- ")
		switch {
		case strings.HasPrefix(line, key+":"):
			in = true
		case in && ok:
			item, _, _ = strings.Cut(item, " #")
			list = append(list, strings.Trim(strings.TrimSpace(item), `"'`))
		case strings.TrimSpace(line) != "" && line[0] != ' ' && line[0] != '#' && line[0] != '-':
			in = false
		}
	}
	return list
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
	Bin            json.RawMessage
	Directories    struct{ Bin string }
	dependencies
}

// dependencies are the sections that name packages.
type dependencies struct {
	Dependencies         map[string]string
	DevDependencies      map[string]string
	OptionalDependencies map[string]string
	PeerDependencies     map[string]string
}

// nodeWiden looks in package.json, and in those of the workspaces, for what makes
// an install read more than the manifests. patterns are workspaces that another
// file names.
func nodeWiden(r reader, ignoreScripts bool, patterns []string) ([]string, string) {
	var pkg packageJSON
	if err := json.Unmarshal(r.local("package.json"), &pkg); err != nil {
		return nil, fmt.Sprintf("package.json cannot be read: %v", err)
	}
	patterns = append(patterns, pkg.workspaces()...)
	members, obstacle := workspaces(r, patterns)
	if obstacle != "" {
		return nil, obstacle
	}
	if obstacle := pkg.obstacle("package.json", r.exists("binding.gyp"), ignoreScripts, len(members) > 0); obstacle != "" {
		return nil, obstacle
	}
	for _, name := range members {
		var member packageJSON
		if err := json.Unmarshal(r.file(name), &member); err != nil {
			return nil, fmt.Sprintf("%s cannot be read: %v", name, err)
		}
		shown := strings.TrimPrefix(name, r.dir+"/")
		_, gyp := r.find(path.Join(path.Dir(name), "binding.gyp"))
		if obstacle := member.obstacle(shown, gyp, ignoreScripts, true); obstacle != "" {
			return nil, obstacle
		}
		if len(member.Bin) > 0 || member.Directories.Bin != "" {
			return nil, shown + " has commands (bin), which the install links only if their files are there"
		}
	}
	return members, ""
}

// workspaces returns the package.json of each workspace, as image paths.
func workspaces(r reader, patterns []string) (files []string, obstacle string) {
	for _, p := range patterns {
		p = strings.Trim(strings.TrimPrefix(p, "./"), "/")
		if p == "." || p == "" {
			continue
		}
		if strings.Contains(p, "**") || strings.HasPrefix(p, "!") || strings.HasPrefix(p, "..") || strings.ContainsAny(p, "{}()") {
			return nil, "the workspaces " + p + " cannot be listed for sure"
		}
		for _, f := range r.matching(p + "/package.json") {
			if !slices.Contains(files, f) {
				files = append(files, f)
			}
		}
	}
	return files, ""
}

// workspaces returns the patterns of the field, in either of its forms.
func (p packageJSON) workspaces() []string {
	var list []string
	if json.Unmarshal(p.Workspaces, &list) == nil {
		return list
	}
	var object struct{ Packages []string }
	if json.Unmarshal(p.Workspaces, &object) == nil && len(object.Packages) > 0 {
		return object.Packages
	}
	if len(p.Workspaces) > 0 && string(p.Workspaces) != "null" {
		return []string{"!"} // not understood
	}
	return nil
}

// obstacle says what makes an install read more than this file, of a project or
// a workspace.
func (p packageJSON) obstacle(shown string, gyp, ignoreScripts, member bool) string {
	if !ignoreScripts {
		for _, name := range nodeScripts {
			if _, ok := p.Scripts[name]; ok {
				return fmt.Sprintf("%s has a %s script, which the install runs and which may read the sources", shown, name)
			}
		}
		if gyp {
			return "the install compiles the add-on that binding.gyp describes"
		}
	}
	for _, set := range []map[string]string{p.Dependencies, p.DevDependencies, p.OptionalDependencies, p.PeerDependencies} {
		for _, name := range slices.Sorted(maps.Keys(set)) {
			if !ignoreScripts && slices.Contains(curious, name) {
				return fmt.Sprintf("the install script of %s reads files of the project", name)
			}
			if localSpec(set[name]) && !(member && strings.HasPrefix(set[name], "workspace:") && !strings.Contains(set[name], "/")) {
				return fmt.Sprintf("%s is installed from a path of the sources", name)
			}
		}
	}
	for _, raw := range []json.RawMessage{p.Overrides, p.Resolutions, p.Patched, p.PNPM} {
		if localMark(string(raw)) != "" {
			return shown + " replaces or patches a package from a path of the sources"
		}
	}
	return ""
}

// localMark returns what in a text looks like a package from a path; "" for
// nothing.
func localMark(text string) string {
	for _, mark := range []string{"file:", "link:", "portal:", "patch:", `"./`, `"../`, `'./`, `'../`, "patches/"} {
		if strings.Contains(text, mark) {
			return mark
		}
	}
	return ""
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
