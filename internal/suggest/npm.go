package suggest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// nodeScripts are the package.json scripts that an install without arguments
// runs in the project itself (npm: docs, "scripts", life cycle operation order).
var nodeScripts = []string{
	"pnpm:devPreinstall", "preinstall", "install", "postinstall", "prepublish", "preprepare", "prepare", "postprepare", "dependencies",
}

// berryScripts are those that yarn 2 and later run (yarn: docs, "Lifecycle Scripts").
var berryScripts = []string{"preinstall", "install", "postinstall"}

// curious are packages whose own install scripts look into the project that
// installs them: for a schema, a configuration file or hooks.
var curious = []string{
	"@prisma/client", "@sveltejs/kit", "puppeteer", "msw", "nx", "lefthook", "@evilmartians/lefthook", "simple-git-hooks", "pre-commit", "yorkie", "ghooks",
}

// puppeteerSettings are where its install script, wherever it comes from, is told what
// to fetch and where to put it (puppeteer: Configuration).
var puppeteerSettings = []string{
	".puppeteerrc", ".puppeteerrc.json", ".puppeteerrc.yaml", ".puppeteerrc.yml", ".puppeteerrc.js", ".puppeteerrc.ts", ".puppeteerrc.cjs",
	".config/puppeteerrc", ".config/puppeteerrc.json", ".config/puppeteerrc.yaml", ".config/puppeteerrc.yml", ".config/puppeteerrc.js", ".config/puppeteerrc.ts",
	".config/puppeteerrc.cjs", "puppeteer.config.js", "puppeteer.config.ts", "puppeteer.config.cjs",
}

// npmWiden looks at what npm reads beside the manifests.
func npmWiden(r reader, ci bool, has func(...string) bool) ([]string, string) {
	locked := r.any("package-lock.json", "npm-shrinkwrap.json") != ""
	if ci && !locked {
		return nil, "`npm ci` needs a package-lock.json, and the context has none"
	}
	more, obstacle := nodeWiden(r, lifecycle{ignored: has("--ignore-scripts")}, nil)
	if obstacle != "" {
		return more, obstacle
	}
	if !ci && locked && !has("--no-package-lock") {
		switch {
		case has("--lockfile-version") || convertsLock.Match(r.local(".npmrc")) || r.env["npm_config_lockfile_version"]+r.env["NPM_CONFIG_LOCKFILE_VERSION"] != "":
			return nil, "`npm install` may write package-lock.json in another form (lockfile-version): use `npm ci`"
		case !inStep(r):
			return nil, "`npm install` would rewrite package-lock.json, which does not agree with package.json: update it, or use `npm ci`"
		}
	}
	return more, ""
}

// convertsLock finds, in an .npmrc, the form that package-lock.json is to have.
var convertsLock = regexp.MustCompile(`(?m)^\s*lockfile-version\s*=`)

// writesOldLock reports an image whose npm, before 7, writes package-lock.json in the
// form that inStep does not read.
func writesOldLock(base string) bool {
	_, tag, _ := strings.Cut(base, ":")
	major, err := strconv.Atoi(leading.FindString(tag))
	return imageName(base) == "node" && err == nil && major < 15
}

var leading = regexp.MustCompile(`^\d+`)

// yarnWiden is npmWiden for yarn: classic, or where .yarnrc.yml is there, yarn 2
// and later, whose program and plugins lie in .yarn. keeps says that the command leaves
// the lock file alone.
func yarnWiden(r reader, keeps bool, has func(...string) bool) ([]string, string) {
	for _, name := range []string{".pnp.js", ".pnp.cjs", ".pnp.loader.mjs", ".pnp.data.json", ".yarn/cache", ".yarn/unplugged", ".yarn/install-state.gz", ".yarn/build-state.yml"} {
		if r.exists(name) {
			return nil, "yarn writes " + name + ", which the context brings as well: ignore it first"
		}
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
	if r.exists("yarn.lock") && !keeps {
		return nil, "`yarn install` may rewrite yarn.lock: use --frozen-lockfile"
	}
	files, obstacle := nodeWiden(r, lifecycle{ignored: has("--ignore-scripts", "--mode=skip-build"), berry: berry}, nil)
	return slices.Concat(more, above, files), obstacle
}

// pnpmWiden is npmWiden for pnpm, whose workspaces stand in a file of their own.
func pnpmWiden(r reader, has func(...string) bool) ([]string, string) {
	if name := r.any(".pnpmfile.cjs", ".pnpmfile.mjs", "pnpmfile.js"); name != "" {
		return nil, "pnpm runs " + name + ", which may read anything"
	}
	if r.exists("pnpm-lock.yaml") && !has("--frozen-lockfile") {
		return nil, "`pnpm install` may rewrite pnpm-lock.yaml: use --frozen-lockfile"
	}
	text := r.local("pnpm-workspace.yaml")
	w, obstacle := readPnpmWorkspace(text)
	if obstacle != "" {
		return nil, obstacle
	}
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
	if obstacle == "" && (w.injects || pnpmInjects.Match(r.local(".npmrc")) || slices.ContainsFunc(append(files, path.Join(r.dir, "package.json")), func(name string) bool {
		return path.Base(name) == "package.json" && injected.Match(r.file(name))
	})) {
		obstacle = "pnpm copies packages of the workspace into node_modules, sources and all"
	}
	return append(more, files...), obstacle
}

// injected and pnpmInjects find members of a workspace that pnpm does not link but
// copies, in a package.json and an .npmrc.
var (
	injected    = regexp.MustCompile(`"injected"\s*:\s*true`)
	pnpmInjects = regexp.MustCompile(`(?m)^\s*inject-workspace-packages\s*=\s*true`)
)

// bunWiden is npmWiden for bun.
func bunWiden(r reader, has func(...string) bool) ([]string, string) {
	if r.any("bun.lock", "bun.lockb") != "" && !has("--frozen-lockfile") {
		return nil, "`bun install` may rewrite the lock file: use --frozen-lockfile"
	}
	return nodeWiden(r, lifecycle{ignored: has("--ignore-scripts")}, nil)
}

// A packageJSON is what of a package.json widens what an install reads.
type packageJSON struct {
	Name, Version  string
	Engines        any
	PackageManager string
	Scripts        map[string]string
	Workspaces     json.RawMessage
	Gypfile        *bool
	Overrides      json.RawMessage
	Resolutions    json.RawMessage
	Patched        map[string]string `json:"patchedDependencies"` // bun's
	PNPM           map[string]json.RawMessage
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
// an install read more than the manifests. scripts says what its command and other
// files decide about them, and patterns are workspaces that another file names.
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
	scripts.gyp, scripts.git, scripts.patches = r.exists("binding.gyp"), r.git(r.dir), true
	if raw := pkg.PNPM["onlyBuiltDependencies"]; scripts.only == nil && json.Unmarshal(raw, &scripts.only) != nil {
		scripts.only = nil
	}
	if obstacle := pkg.obstacle("package.json", scripts, len(members) > 0); obstacle != "" {
		return read, obstacle
	}
	for _, name := range curious {
		if scripts.runs(name) && name != "puppeteer" && name != "msw" && locks(r, name) { // whose settings are known
			return read, fmt.Sprintf("the install script of %s, which another package brings, reads files of the project", name)
		}
	}
	scripts.patches = false
	for _, name := range members {
		var member packageJSON
		if err := json.Unmarshal(r.file(name), &member); err != nil {
			return read, fmt.Sprintf("%s cannot be read: %v", name, err)
		}
		shown := strings.TrimPrefix(name, r.dir+"/")
		_, scripts.gyp = r.find(path.Join(path.Dir(name), "binding.gyp"))
		scripts.git = r.git(path.Dir(name))
		if obstacle := member.obstacle(shown, scripts, true); obstacle != "" {
			return read, obstacle
		}
		if len(member.Bin) > 0 || member.Directories.Bin != "" {
			return read, shown + " has commands (bin), which the install links only if their files are there"
		}
	}
	if !scripts.ignored && pkg.patched() {
		read = append(read, r.matching("patches/**/*")...)
	}
	return read, ""
}

// locks reports whether a lock file names a package among those that are installed.
func locks(r reader, name string) bool {
	name = regexp.QuoteMeta(name)
	for file, pattern := range map[string]string{
		"package-lock.json":   `node_modules/` + name + `"\s*:\s*\{|"` + name + `"\s*:\s*\{\s*"version"`,
		"npm-shrinkwrap.json": `node_modules/` + name + `"\s*:\s*\{|"` + name + `"\s*:\s*\{\s*"version"`,
		"yarn.lock":           `(?m)^"?` + name + `@`,
		"pnpm-lock.yaml":      `(?m)^  ['"]?/?` + name + `[@/]\d`,
		"bun.lock":            `"(?:[^"]*/)?` + name + `"\s*:\s*\[`,
	} {
		if text := r.local(file); text != nil && regexp.MustCompile(pattern).Match(text) {
			return true
		}
	}
	return false
}

// patchFiles returns the patches that pnpm and bun apply, and takes them from p.
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

// workspaces returns the package.json of each workspace, as image paths. Those that a
// pattern takes out again are among them, which does no harm: nobody reads them.
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

// alternatives writes out the braces of a pattern: {a,b}/* is a/* and b/*.
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

// A lifecycle is what decides about the scripts that an install runs.
type lifecycle struct {
	ignored bool // --ignore-scripts
	// only are the packages whose own scripts run, with a version perhaps, where the
	// project lists them; nil for all.
	only    []string
	gyp     bool // the project has an add-on to compile
	berry   bool // yarn 2 and later, whose folder of patches is read
	git     bool // a .git would be there
	patches bool // patch-package may run, and what it reads is known
}

// Scripts that read nothing of the project: only-allow asks which package manager
// runs it, and husky does nothing where there is no .git to put hooks into.
var (
	asksManager = regexp.MustCompile(`^(?:npx (?:-y |--yes )?|pnpm dlx )?only-allow (?:npm|pnpm|yarn|bun)$`)
	putsHooks   = regexp.MustCompile(`^(?:is-ci \|\| )?husky(?: install)?(?: \.husky)?(?: && husky install)?(?: \|\| (?:true|:|exit 0))?$`)
)

// reads reports whether a script may read files of the project.
func (l lifecycle) reads(script string) bool {
	script = strings.TrimSpace(script)
	return !asksManager.MatchString(script) && (l.git || !putsHooks.MatchString(script)) && !(l.patches && patches.MatchString(script))
}

// runs reports whether the install runs the scripts of a package.
func (l lifecycle) runs(name string) bool {
	return !l.ignored && (l.only == nil || slices.ContainsFunc(l.only, func(one string) bool {
		return one == name || strings.HasPrefix(one, name+"@")
	}))
}

// patches matches what applies the files in the folder patches to what was installed.
var patches = regexp.MustCompile(`^(?:yarn |npx |pnpm (?:exec )?)?patch-package(?: --error-on-fail)?$`)

// patched reports whether the install runs it.
func (p packageJSON) patched() bool {
	return slices.ContainsFunc(nodeScripts, func(name string) bool { return patches.MatchString(strings.TrimSpace(p.Scripts[name])) })
}

// obstacle says what makes an install read more than this file, of a project or
// a workspace.
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
	for _, set := range []map[string]string{p.Dependencies, p.DevDependencies, p.OptionalDependencies, p.PeerDependencies} {
		for _, name := range slices.Sorted(maps.Keys(set)) {
			if slices.Contains(curious, name) && scripts.runs(name) {
				return fmt.Sprintf("the install script of %s reads files of the project", name)
			}
			if scripts.berry && yarnPatch.MatchString(set[name]) && !relativePatch.MatchString(set[name]) {
				continue
			}
			if localSpec(set[name]) && !(member && strings.HasPrefix(set[name], "workspace:") && !strings.Contains(set[name], "/")) {
				return fmt.Sprintf("%s is installed from a path of the sources", name)
			}
		}
	}
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

// yarnPatch matches a package of the registry with patches out of yarn's own folder.
var yarnPatch = regexp.MustCompile(`^patch:[^#]+@npm(?::|%3A)[^#/]+#(?:(?:optional!)?(?:~/|\./)?\.yarn/patches/[^/&]+(?:&|$))+$`)

// relativePatch matches one whose folder is that beside the very package.json, which
// need not be the project's.
var relativePatch = regexp.MustCompile(`[#&!](?:\./)?\.yarn/`)

// localMarks are what a package from a path is named with; a scheme is no part of
// another word, as in "sharedWorkspaceLockfile: true".
var localMarks = regexp.MustCompile(`\b(?:file|link|portal|patch):|["']\.\.?/|patches/`)

// localMark returns what in a text looks like a package from a path; "" for
// nothing.
func localMark(text string) string { return localMarks.FindString(text) }

// localSpec reports a version that names a path.
func localSpec(spec string) bool {
	for _, p := range []string{"file:", "link:", "portal:", "workspace:", "patch:", "./", "../", "/", "~/"} {
		if strings.HasPrefix(spec, p) {
			return true
		}
	}
	archive := strings.HasSuffix(spec, ".tgz") || strings.HasSuffix(spec, ".tar.gz") || strings.HasSuffix(spec, ".tar")
	return archive && !strings.Contains(spec, "://")
}

// described are the fields of a package.json, beside its dependencies, that npm keeps in
// package-lock.json as well (Arborist: Shrinkwrap, pkgMetaKeys).
var described = []string{"version", "engines", "os", "cpu", "libc", "license", "funding", "workspaces", "bundleDependencies", "peerDependenciesMeta", "deprecated"}

// inStep reports whether package-lock.json describes package.json as it is, in
// which case npm install leaves it alone.
func inStep(r reader) bool {
	name := path.Join(r.dir, "npm-shrinkwrap.json")
	if r.file(name) == nil {
		name = path.Join(r.dir, "package-lock.json")
	}
	var pkg packageJSON
	var lock struct {
		Name            string
		LockfileVersion int
		Requires        bool
		Packages        map[string]json.RawMessage
	}
	if json.Unmarshal(r.local("package.json"), &pkg) != nil || json.Unmarshal(r.file(name), &lock) != nil {
		return false
	}
	// One without a name is called like its folder.
	if lock.LockfileVersion < 2 || !lock.Requires || lock.Packages[""] == nil || lock.Name != cmp.Or(pkg.Name, path.Base(r.dir)) {
		return false
	}
	for member, locked := range lock.Packages {
		if strings.HasPrefix(member, "node_modules/") || strings.Contains(member, "/node_modules/") {
			continue
		}
		if !describes(r.file(resolve(r.dir, path.Join(member, "package.json"), 0)), locked, member == "") {
			return false
		}
	}
	return true
}

// describes reports whether an entry of package-lock.json is what npm makes of a
// package.json; that of the root has its name.
func describes(text, locked []byte, root bool) bool {
	var pkg, entry packageJSON
	var fields, kept map[string]any
	for _, v := range []any{&pkg, &fields} {
		if json.Unmarshal(text, v) != nil {
			return false
		}
	}
	for _, v := range []any{&entry, &kept} {
		if json.Unmarshal(locked, v) != nil {
			return false
		}
	}
	bin := fields["bin"]
	if file, ok := bin.(string); ok {
		bin = map[string]any{path.Base(pkg.Name): file}
	}
	if commands, ok := bin.(map[string]any); ok {
		for name, file := range commands {
			if file, ok := file.(string); ok {
				commands[name] = path.Clean(file)
			}
		}
	}
	runs := fields["hasInstallScript"] == true || slices.ContainsFunc([]string{"preinstall", "install", "postinstall"}, func(s string) bool { return pkg.Scripts[s] != "" })
	return pkg.equal(entry.dependencies) && reflect.DeepEqual(bin, kept["bin"]) && runs == (kept["hasInstallScript"] == true) &&
		(pkg.Name == entry.Name || entry.Name == "" && !root) &&
		!slices.ContainsFunc(described, func(key string) bool { return !reflect.DeepEqual(fields[key], kept[key]) })
}

// equal reports whether two packages depend on the same.
func (a dependencies) equal(b dependencies) bool {
	return maps.Equal(a.Dependencies, b.Dependencies) && maps.Equal(a.DevDependencies, b.DevDependencies) &&
		maps.Equal(a.OptionalDependencies, b.OptionalDependencies) && maps.Equal(a.PeerDependencies, b.PeerDependencies)
}
