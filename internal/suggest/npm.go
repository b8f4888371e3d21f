package suggest

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
)

// nodeScripts are the scripts of package.json that an install without arguments runs for the
// project itself (npm: docs, "scripts", life cycle operation order).
var nodeScripts = []string{
	"pnpm:devPreinstall", "preinstall", "install", "postinstall", "prepublish", "preprepare", "prepare", "postprepare", "dependencies",
}

// berryScripts are the scripts that yarn 2 and later run (yarn: docs, "Lifecycle Scripts").
var berryScripts = []string{"preinstall", "install", "postinstall"}

// curious are packages whose own install scripts read files of the project that installs them:
// a schema, a configuration file or hooks.
var curious = []string{
	"@prisma/client", "@sveltejs/kit", "puppeteer", "msw", "nx", "lefthook", "@evilmartians/lefthook", "simple-git-hooks", "pre-commit", "yorkie", "ghooks",
}

// puppeteerSettings are files that tell puppeteer's install script what to download and where
// to put it (puppeteer: Configuration). It may run although the project does not name puppeteer.
var puppeteerSettings = []string{
	".puppeteerrc", ".puppeteerrc.json", ".puppeteerrc.yaml", ".puppeteerrc.yml", ".puppeteerrc.js", ".puppeteerrc.ts", ".puppeteerrc.cjs",
	".config/puppeteerrc", ".config/puppeteerrc.json", ".config/puppeteerrc.yaml", ".config/puppeteerrc.yml", ".config/puppeteerrc.js", ".config/puppeteerrc.ts",
	".config/puppeteerrc.cjs", "puppeteer.config.js", "puppeteer.config.ts", "puppeteer.config.cjs",
}

// npmWiden is install.widen for npm: it returns what npm reads beside the manifests of the project.
// ci says that the command is npm ci.
func npmWiden(r reader, ci bool, has func(...string) bool) ([]string, string) {
	locked := r.any("package-lock.json", "npm-shrinkwrap.json") != ""
	if ci && !locked {
		return nil, "`npm ci` needs a package-lock.json, and the context has none"
	}
	more, obstacle := nodeWiden(r, lifecycle{ignored: has("--ignore-scripts")}, nil)
	if obstacle != "" {
		return more, obstacle
	}
	if !ci && r.exists("yarn.lock") && !has("--no-package-lock") {
		return nil, "`npm install` also reads yarn.lock and writes it anew, if there is one: remove it, or use `npm ci`"
	}
	if !ci && locked && !has("--no-package-lock") {
		form := r.env["npm_config_lockfile_version"] + r.env["NPM_CONFIG_LOCKFILE_VERSION"]
		switch {
		case form != "" || has("--lockfile-version") || convertsLock.Match(r.local(".npmrc")):
			return nil, "`npm install` may write package-lock.json in another form (lockfile-version): use `npm ci`"
		case !inStep(r):
			return nil, "`npm install` would rewrite package-lock.json, which does not agree with package.json: update it, or use `npm ci`"
		}
	}
	return more, ""
}

// yarnWrites are files and folders that an install with yarn writes beside package.json. A COPY of
// the sources below the install would overwrite them with those of the context.
var yarnWrites = []string{
	".pnp.js", ".pnp.cjs", ".pnp.loader.mjs", ".pnp.data.json", ".yarn/cache", ".yarn/unplugged", ".yarn/install-state.gz", ".yarn/build-state.yml",
}

// yarnWiden is npmWiden for yarn: for yarn 1 or, if there is a .yarnrc.yml, for yarn 2 and
// later, whose program and plugins lie in .yarn. keeps says that the command does not write to
// the lock file.
func yarnWiden(r reader, keeps bool, has func(...string) bool) ([]string, string) {
	if name := r.any(yarnWrites...); name != "" {
		return nil, "yarn writes " + name + ", which the context brings as well: ignore it first"
	}
	more := berryFiles(r)
	berry := len(more) > 0
	if !berry && r.exists(".yarn") {
		return nil, "yarn 2 and later read more than the manifests: .yarn is there"
	}
	above, obstacle := settingsAbove(r)
	if obstacle != "" {
		return nil, obstacle
	}
	if at := hookOfPlugin(r, slices.Concat(more, above)); at != "" {
		return nil, at + " is a plugin that runs after an install, and may read the sources"
	}
	if r.exists("yarn.lock") && !keeps {
		return nil, "`yarn install` may rewrite yarn.lock: use --frozen-lockfile"
	}
	files, obstacle := nodeWiden(r, lifecycle{ignored: has("--ignore-scripts", "--mode=skip-build"), berry: berry}, nil)
	return slices.Concat(more, above, files), obstacle
}

// pnpmWiden is npmWiden for pnpm, which lists the workspaces in a file of its own.
func pnpmWiden(r reader, keeps bool, has func(...string) bool) ([]string, string) {
	if name := r.any(".pnpmfile.cjs", ".pnpmfile.mjs", "pnpmfile.js"); name != "" {
		return nil, "pnpm runs " + name + ", which may read anything"
	}
	if r.exists("pnpm-lock.yaml") && !keeps {
		return nil, "`pnpm install` may rewrite pnpm-lock.yaml: use --frozen-lockfile"
	}
	text := r.local("pnpm-workspace.yaml")
	w, obstacle := readPnpmWorkspace(text)
	if obstacle != "" {
		return nil, obstacle
	}
	// pnpm takes these in place of a package.json.
	for _, name := range []string{"package.yaml", "package.json5"} {
		if found, _ := membersBy(r, w.packages, name); len(found) > 0 {
			return nil, "a manifest of the workspace is not looked through: " + found[0]
		}
	}
	more, obstacle := patchFiles(r, w.patches)
	if obstacle != "" {
		return nil, obstacle
	}
	above, obstacle := settingsAbove(r)
	if obstacle != "" {
		return nil, obstacle
	}
	if more = append(more, above...); text != nil {
		more = append(more, path.Join(r.dir, "pnpm-workspace.yaml"))
	}
	files, obstacle := nodeWiden(r, lifecycle{ignored: has("--ignore-scripts"), only: w.builds}, w.packages)
	for _, name := range files {
		if settings := path.Join(path.Dir(name), ".npmrc"); path.Base(name) == "package.json" && r.file(settings) != nil {
			more = append(more, settings)
		}
	}
	if obstacle == "" && (w.injects || pnpmInjects.Match(r.local(".npmrc")) || injectsMember(r, files)) {
		obstacle = "pnpm copies packages of the workspace into node_modules, sources and all"
	}
	return append(more, files...), obstacle
}

// injectsMember reports whether the package.json of the project, or one among these files, asks for
// a copy of a member of the workspace.
func injectsMember(r reader, files []string) bool {
	return slices.ContainsFunc(append(files, path.Join(r.dir, "package.json")), func(name string) bool {
		return path.Base(name) == "package.json" && injected.Match(r.file(name))
	})
}

// injected matches in a package.json, and pnpmInjects in an .npmrc, the setting by which pnpm
// copies members of the workspace into node_modules instead of linking them.
var (
	injected    = regexp.MustCompile(`"injected"\s*:\s*true`)
	pnpmInjects = regexp.MustCompile(`(?m)^\s*inject-workspace-packages\s*=\s*true`)
)

// bunWiden is npmWiden for bun.
func bunWiden(r reader, has func(...string) bool) ([]string, string) {
	if r.any("bun.lock", "bun.lockb") != "" && !has("--frozen-lockfile", "--production", "-p") {
		return nil, "`bun install` may rewrite the lock file: use --frozen-lockfile"
	}
	if name := r.any("package-lock.json", "yarn.lock", "pnpm-lock.yaml"); name != "" && r.any("bun.lock", "bun.lockb") == "" {
		return nil, "`bun install` takes the versions from " + name + " where it has no lock file of its own"
	}
	return nodeWiden(r, lifecycle{ignored: has("--ignore-scripts")}, nil)
}

// A packageJSON holds the fields of a package.json that may make an install read more files.
type packageJSON struct {
	Name, Version  string
	Engines        any
	PackageManager string
	Scripts        map[string]string
	Workspaces     json.RawMessage
	Gypfile        *bool
	Overrides      json.RawMessage
	Resolutions    json.RawMessage
	Patched        map[string]string `json:"patchedDependencies"` // patches that bun applies
	PNPM           map[string]json.RawMessage
	Bin            json.RawMessage
	Directories    struct{ Bin string }
	dependencies
}

// dependencies are the fields of a package.json that name packages, with their versions.
type dependencies struct {
	Dependencies         map[string]string
	DevDependencies      map[string]string
	OptionalDependencies map[string]string
	PeerDependencies     map[string]string
}

// nodeWiden returns what an install reads beside the manifests of the project: those of the
// workspaces, settings and patches. scripts says what the command and other files decide about
// scripts; patterns are workspaces that another file names.
func nodeWiden(r reader, scripts lifecycle, patterns []string) ([]string, string) {
	var pkg packageJSON
	if err := json.Unmarshal(r.local("package.json"), &pkg); err != nil {
		return nil, fmt.Sprintf("package.json cannot be read: %v", err)
	}
	patterns = append(patterns, pkg.workspaces()...)
	members, obstacle := workspaces(r, patterns)
	if obstacle != "" {
		return nil, obstacle
	}
	if name := r.any(puppeteerSettings...); name != "" && !scripts.ignored {
		return members, "the install of puppeteer reads " + name + ", which may read anything"
	}
	settings, obstacle := nodeSettings(r)
	if obstacle != "" {
		return members, obstacle
	}
	patched, obstacle := pkg.patchFiles(r)
	read := slices.Concat(members, settings, patched)
	if obstacle != "" {
		return read, obstacle
	}
	if schema, ok := prismaFiles(r, scripts); ok && len(members) == 0 {
		read, scripts.prisma = append(read, schema...), true
	}
	scripts.gyp, scripts.git, scripts.patches = r.exists("binding.gyp"), r.git(r.dir), true
	if raw := pkg.PNPM["onlyBuiltDependencies"]; scripts.only == nil && json.Unmarshal(raw, &scripts.only) != nil {
		scripts.only = nil // none are listed, or not as a list
	}
	if obstacle := pkg.obstacle("package.json", scripts, len(members) > 0); obstacle != "" {
		return read, obstacle
	}
	suspects := slices.DeleteFunc(slices.Clone(curious), func(name string) bool {
		// Of puppeteer and msw the settings are known, wherever they come from.
		return name == "puppeteer" || name == "msw" || name == "@prisma/client" && scripts.prisma || !scripts.runs(name)
	})
	if name := locked(r, suspects); name != "" {
		return read, fmt.Sprintf("the install script of %s, which another package brings, reads files of the project", name)
	}
	scripts.patches = false
	for _, name := range members {
		if obstacle := memberObstacle(r, name, scripts); obstacle != "" {
			return read, obstacle
		}
	}
	if !scripts.ignored && pkg.patched() {
		read = append(read, r.matching("patches/**/*")...)
	}
	return read, ""
}

// memberObstacle says why an install may read more of a workspace than its package.json, which
// is at the image path name. It returns "" if it does not.
func memberObstacle(r reader, name string, scripts lifecycle) string {
	var member packageJSON
	if err := json.Unmarshal(r.file(name), &member); err != nil {
		return fmt.Sprintf("%s cannot be read: %v", name, err)
	}
	shown := strings.TrimPrefix(name, r.dir+"/")
	_, scripts.gyp = r.find(path.Join(path.Dir(name), "binding.gyp"))
	scripts.git = r.git(path.Dir(name))
	if obstacle := member.obstacle(shown, scripts, true); obstacle != "" {
		return obstacle
	}
	if len(member.Bin) > 0 || member.Directories.Bin != "" {
		return shown + " has commands (bin), which the install links only if their files are there"
	}
	return ""
}

// patchFiles returns the patches that pnpm and bun apply, as image paths, and removes those of
// pnpm from p, whose other settings must not name paths.
func (p *packageJSON) patchFiles(r reader) (files []string, obstacle string) {
	var patches map[string]string
	if raw := p.PNPM["patchedDependencies"]; raw != nil {
		if json.Unmarshal(raw, &patches) != nil {
			return nil, "the patches of package.json cannot be listed for sure"
		}
		delete(p.PNPM, "patchedDependencies")
	}
	all := slices.Concat(slices.Collect(maps.Values(patches)), slices.Collect(maps.Values(p.Patched)))
	slices.Sort(all)
	return patchFiles(r, all)
}

// workspaces returns the package.json of each workspace that the patterns match, as image
// paths. Patterns that exclude workspaces are left out: to copy a file that nobody reads does
// no harm.
func workspaces(r reader, patterns []string) (files []string, obstacle string) {
	return membersBy(r, patterns, "package.json")
}

// membersBy is workspaces for manifests of another name.
func membersBy(r reader, patterns []string, manifest string) (files []string, obstacle string) {
	for _, given := range patterns {
		p := strings.Trim(strings.TrimPrefix(given, "./"), "/")
		if p == "." || p == "" || strings.HasPrefix(p, "!") && p != "!" {
			continue
		}
		if p == "!" || strings.HasPrefix(p, "..") || strings.ContainsAny(p, "()") {
			return nil, "the workspaces " + given + " cannot be listed for sure"
		}
		for _, one := range alternatives(p) {
			for _, f := range r.matching(one + "/" + manifest) {
				if !slices.Contains(files, f) && !strings.Contains(f, "/node_modules/") && !strings.Contains(f, "/bower_components/") {
					files = append(files, f)
				}
			}
		}
	}
	return files, ""
}

// alternatives expands the braces of a pattern: {a,b}/* becomes a/* and b/*.
func alternatives(pattern string) []string {
	from := strings.LastIndex(pattern, "{")
	if from < 0 {
		return []string{pattern}
	}
	inner, rest, ok := strings.Cut(pattern[from+1:], "}")
	if !ok {
		return []string{pattern}
	}
	var list []string
	for one := range strings.SplitSeq(inner, ",") {
		list = append(list, alternatives(pattern[:from]+one+rest)...)
	}
	return list
}

// workspaces returns the patterns of the field workspaces, in either of its forms; "!" stands
// for what is not understood.
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
		return []string{"!"}
	}
	return nil
}

// A lifecycle is what decides which scripts an install runs, and what these read.
type lifecycle struct {
	ignored bool // the command runs none: --ignore-scripts
	// only are the packages whose own scripts run, perhaps with a version, if the project
	// lists them; nil if those of all packages run.
	only    []string
	gyp     bool // there is a binding.gyp, so that the install compiles an add-on
	berry   bool // the program is yarn 2 or later, and its folder of patches is read
	git     bool // the folder may contain .git
	patches bool // patch-package may run: what it reads is returned as well
	prisma  bool // Prisma may make its client: what it reads is known
}

// Scripts that read no file of the project: only-allow asks which package manager runs it, and
// husky does nothing if there is no .git to install hooks in.
var (
	asksManager = regexp.MustCompile(`^(?:npx (?:-y |--yes )?|pnpm dlx )?only-allow (?:npm|pnpm|yarn|bun)$`)
	putsHooks   = regexp.MustCompile(`^(?:is-ci \|\| )?husky(?: install)?(?: \.husky)?(?: && husky install)?(?: \|\| (?:true|:|exit 0))?$`)
)

// reads reports whether a script may read files of the project.
func (l lifecycle) reads(script string) bool {
	script = strings.TrimSpace(script)
	return !asksManager.MatchString(script) && (l.git || !putsHooks.MatchString(script)) && !(l.patches && patches.MatchString(script)) &&
		!(l.prisma && makesClient.MatchString(script))
}

// runs reports whether the install runs the scripts of a package.
func (l lifecycle) runs(name string) bool {
	return !l.ignored && (l.only == nil || slices.ContainsFunc(l.only, func(one string) bool {
		return one == name || strings.HasPrefix(one, name+"@")
	}))
}

// patches matches a script that applies the files in the folder patches to installed packages.
var patches = regexp.MustCompile(`^(?:yarn |npx |pnpm (?:exec )?)?patch-package(?: --error-on-fail)?$`)

// patched reports whether the install runs such a script.
func (p packageJSON) patched() bool {
	return slices.ContainsFunc(nodeScripts, func(name string) bool { return patches.MatchString(strings.TrimSpace(p.Scripts[name])) })
}

// obstacle says why an install may read more than this package.json and the files that are
// known, or returns "". shown is its name in messages; member says that there are workspaces,
// so that it may depend on other members.
func (p packageJSON) obstacle(shown string, scripts lifecycle, member bool) string {
	if !scripts.ignored {
		run := nodeScripts
		if scripts.berry {
			run = berryScripts
		}
		for _, name := range run {
			if script, ok := p.Scripts[name]; ok && scripts.reads(script) {
				return fmt.Sprintf("%s has a %s script, which the install runs and which may read the sources", shown, name)
			}
		}
		if scripts.gyp {
			return "the install compiles the add-on that binding.gyp describes"
		}
	}
	if obstacle := p.dependencyObstacle(scripts, member); obstacle != "" {
		return obstacle
	}
	// Patches of yarn's own folder are read anyway.
	var resolutions map[string]string
	if scripts.berry && json.Unmarshal(p.Resolutions, &resolutions) == nil {
		maps.DeleteFunc(resolutions, func(_, spec string) bool { return yarnPatch.MatchString(spec) })
		p.Resolutions = json.RawMessage(fmt.Sprintf("%q", slices.Collect(maps.Values(resolutions))))
	}
	for _, raw := range append([]json.RawMessage{p.Overrides, p.Resolutions}, slices.Collect(maps.Values(p.PNPM))...) {
		if localMark(string(raw)) != "" {
			return shown + " replaces or patches a package from a path of the sources"
		}
	}
	return ""
}

// dependencyObstacle says which dependency makes an install read more than is known, or returns "".
// member has the meaning that it has for obstacle.
func (p packageJSON) dependencyObstacle(scripts lifecycle, member bool) string {
	for _, set := range []map[string]string{p.Dependencies, p.DevDependencies, p.OptionalDependencies, p.PeerDependencies} {
		for _, name := range slices.Sorted(maps.Keys(set)) {
			// Of puppeteer the settings are known, but for those beside a member of a workspace.
			known := name == "@prisma/client" && scripts.prisma || name == "puppeteer" && !member
			if slices.Contains(curious, name) && scripts.runs(name) && !known {
				return fmt.Sprintf("the install script of %s reads files of the project", name)
			}
			spec := set[name]
			patched := scripts.berry && yarnPatch.MatchString(spec) && !relativePatch.MatchString(spec)
			sibling := member && strings.HasPrefix(spec, "workspace:") && !strings.Contains(spec, "/")
			if localSpec(spec) && !patched && !sibling {
				return fmt.Sprintf("%s is installed from a path of the sources", name)
			}
		}
	}
	return ""
}

// yarnPatch matches the version of a package from the registry with patches of yarn's own
// folder, .yarn/patches.
var yarnPatch = regexp.MustCompile(`^patch:[^#]+@npm(?::|%3A)[^#/]+#(?:(?:optional!)?(?:~/|\./)?\.yarn/patches/[^/&]+(?:&|$))+$`)

// relativePatch matches such a version if the folder is the one beside the package.json, which
// may be that of a workspace.
var relativePatch = regexp.MustCompile(`[#&!](?:\./)?\.yarn/`)

// localMarks matches what the version of a package from a path contains. A scheme begins at a
// word boundary: there is none in "sharedWorkspaceLockfile: true".
var localMarks = regexp.MustCompile(`\b(?:file|link|portal|exec|patch):|["']\.\.?/|patches/`)

// localMark returns what in a text looks like a package from a path, or "".
func localMark(text string) string { return localMarks.FindString(text) }

// localSpec reports whether the version of a package names a path.
func localSpec(spec string) bool {
	for _, p := range []string{"file:", "git+file:", "link:", "portal:", "exec:", "workspace:", "patch:", "./", "../", "/", "~/"} {
		if strings.HasPrefix(spec, p) {
			return true
		}
	}
	archive := strings.HasSuffix(spec, ".tgz") || strings.HasSuffix(spec, ".tar.gz") || strings.HasSuffix(spec, ".tar")
	return archive && !strings.Contains(spec, "://")
}

// equal reports whether two package.json, or entries for them in a lock file, name the same packages
// with the same versions.
func (a dependencies) equal(b dependencies) bool {
	return maps.Equal(a.Dependencies, b.Dependencies) && maps.Equal(a.DevDependencies, b.DevDependencies) &&
		maps.Equal(a.OptionalDependencies, b.OptionalDependencies) && maps.Equal(a.PeerDependencies, b.PeerDependencies)
}
