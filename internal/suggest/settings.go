package suggest

import (
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

// nodeSettings reads the files of settings that an install of Node packages finds in its working
// folder. It returns the files that they name, as image paths, or an obstacle if they may lead to
// others of the sources.
func nodeSettings(r reader) (files []string, obstacle string) {
	for _, name := range []string{".npmrc", ".yarnrc", ".yarnrc.yml", "bunfig.toml"} {
		install := name != "bunfig.toml" // whether a line is about installs; of bunfig.toml, few sections are
		for line := range strings.Lines(string(r.local(name))) {
			line = strings.TrimSpace(line)
			if section, ok := strings.CutPrefix(line, "["); ok && name == "bunfig.toml" {
				install = strings.HasPrefix(section, "install")
			}
			if line == "" || !install || strings.ContainsAny(line[:1], "#;[") {
				continue
			}
			key, value := setting(line)
			switch {
			case (key == "yarn-path" || key == "yarnPath") && r.exists(value):
				files = append(files, path.Join(r.dir, value))
			case strings.HasPrefix(value, ".yarn/") && yarnOwn.MatchString(value):
				// yarnWiden adds these folders as a whole.
			case namesPath(key, value):
				return nil, fmt.Sprintf("%s says where something lies (%s), which may be among the sources", name, key)
			case name == "bunfig.toml" && key == "print":
				return nil, name + " has bun write a yarn.lock"
			case key == "enableConstraintsChecks" && value == "true":
				return nil, name + " has yarn check the constraints of the project, which are a program"
			case key == "git-branch-lockfile" && value == "true":
				return nil, name + " has pnpm look in .git for the name of the lock file"
			case key == "shared-workspace-lockfile" && value == "false":
				return nil, name + " has each workspace keep a lock file of its own"
			default:
				files = append(files, namedFiles(r, value)...)
			}
		}
	}
	return files, ""
}

// namedFiles returns the files, as image paths, that words in the settings of an install name. They
// are relative to its working folder.
func namedFiles(r reader, text string) (files []string) {
	apart := func(c rune) bool { return separates(c) || strings.ContainsRune("\r\n[]{}()<>", c) }
	for _, word := range strings.FieldsFunc(text, apart) {
		word = strings.TrimSuffix(word, "?") // yarn's sign of a file that need not be there
		if image := resolve(r.dir, word, 0); !strings.Contains(word, "$") && image != r.dir && r.file(image) != nil && !slices.Contains(files, image) {
			files = append(files, image)
		}
	}
	return files
}

// settingsAbove is nodeSettings for the folders above the working folder, in which yarn and pnpm
// look for settings as well.
func settingsAbove(r reader) (files []string, obstacle string) {
	for r.dir != "/" && r.dir != "." && r.dir != baseDir {
		r.dir = path.Dir(r.dir)
		more, obstacle := nodeSettings(r)
		if obstacle != "" {
			return nil, obstacle
		}
		files = slices.Concat(files, more, berryFiles(r))
	}
	return files, ""
}

// berryFiles returns what yarn 2 and later read of a folder that has a .yarnrc.yml, as image paths:
// that file, one with variables, and their program, plugins and patches.
func berryFiles(r reader) (files []string) {
	if !r.exists(".yarnrc.yml") {
		return nil
	}
	for _, name := range []string{".yarnrc.yml", ".env.yarn"} {
		if r.exists(name) {
			files = append(files, path.Join(r.dir, name))
		}
	}
	for _, pattern := range []string{".yarn/releases/*", ".yarn/plugins/*", ".yarn/plugins/*/*", ".yarn/patches/*"} {
		files = append(files, r.matching(pattern)...)
	}
	return files
}

// hookOfPlugin returns the first of these files, image paths, that is a plugin of yarn with a hook
// which an install calls once the packages are there, or "". Such hooks check or generate what they
// like; those that an install calls before work on versions of packages.
func hookOfPlugin(r reader, files []string) string {
	for _, image := range files {
		if strings.Contains(image, "/.yarn/plugins/") && yarnHook.Match(r.file(image)) {
			return strings.TrimPrefix(image, r.dir+"/")
		}
	}
	return ""
}

// yarnHook matches the name of such a hook in a plugin (yarn: plugin tutorial, "Hooks").
var yarnHook = regexp.MustCompile(`\b(afterAllInstalled|validateProject(AfterInstall)?)\b`)

// yarnOwn matches the program, plugins and patches of yarn 2 and later.
var yarnOwn = regexp.MustCompile(`^\.yarn/(releases/[^/]+|plugins/[^/]+(/[^/]+)?|patches/[^/]+)$`)

// setting splits a line of a file that nodeSettings reads into key and value: key=value, key "value"
// or key: value. An item of a list has no key.
func setting(line string) (key, value string) {
	item := strings.TrimPrefix(line, "- ")
	at := strings.IndexAny(item, "=: \t")
	if at < 0 || item != line && !strings.HasPrefix(item[at:], ": ") {
		return "", strings.Trim(item, `"' `)
	}
	if strings.HasPrefix(line, "//") { // //host/:certfile=value
		if at = strings.Index(line, "="); at < 0 {
			return line, ""
		}
	}
	return strings.Trim(item[:at], `"' `), strings.Trim(item[at:], `"'=: `+"\t")
}

// pathSettings matches the keys of settings whose values are paths.
var pathSettings = regexp.MustCompile(`(?i)(cafile|certfile|keyfile|ca-?file-?path|cert-?file-?path|key-?file-?path|pnpmfile|node-?options|script-shell|` +
	`(cache|modules|global|store|lockfile|virtual-store|link)-?(folder|dir)|(^|[-.])(cwd|dir)|(^|:)(prefix|cache|userconfig|globalconfig|yarn-path|yarnpath)|offline-mirror|` +
	`installstatepath|lockfilefilename)$`)

// namesPath reports whether a setting seems to name a path.
func namesPath(key, value string) bool {
	switch {
	case value == "" || value == "true" || value == "false":
		return false
	case pathSettings.MatchString(key):
		return true
	}
	// Names of packages and addresses of registries have slashes, too.
	return strings.Contains(value, "/") && !strings.Contains(value, "://") && !strings.HasPrefix(value, "@") && !strings.HasPrefix(key, "//")
}

// A pnpmWorkspace holds the settings of a pnpm-workspace.yaml that make an install read more
// files.
type pnpmWorkspace struct {
	packages []string // patterns of the workspaces
	patches  []string // files
	builds   []string // packages whose scripts may run; nil if none are listed
	injects  bool     // members are copied into node_modules, not linked
}

// readPnpmWorkspace reads a pnpm-workspace.yaml. If it leads to files that are not known, it
// returns an obstacle.
func readPnpmWorkspace(text []byte) (w pnpmWorkspace, obstacle string) {
	var all map[string]any
	if err := yaml.Unmarshal(text, &all); err != nil {
		return w, "pnpm-workspace.yaml cannot be read"
	}
	var ok bool
	if w.packages, ok = texts(all["packages"]); !ok {
		return w, "the packages of pnpm-workspace.yaml cannot be listed for sure"
	}
	if w.patches, ok = patchesOf(all["patchedDependencies"]); !ok {
		return w, "the patches of pnpm-workspace.yaml cannot be listed for sure"
	}
	w.builds = allowedBuilds(all)
	w.injects = all["injectWorkspacePackages"] == true
	delete(all, "packages")
	delete(all, "patchedDependencies")
	for _, key := range slices.Sorted(maps.Keys(all)) {
		value, isText := all[key].(string)
		isPath := isText && namesPath(key, value) || pathSettings.MatchString(key) && len(textsIn(all[key])) > 0
		if isPath || localIn(all[key]) != "" {
			return w, fmt.Sprintf("pnpm-workspace.yaml names a path of the sources (%s)", key)
		}
		if key == "gitBranchLockfile" && all[key] == true {
			return w, "pnpm-workspace.yaml has pnpm look in .git for the name of the lock file"
		}
		if key == "sharedWorkspaceLockfile" && all[key] == false {
			return w, "pnpm-workspace.yaml has each workspace keep a lock file of its own"
		}
	}
	return w, ""
}

// patchesOf returns the files in a setting that maps packages to patches, in the order of the
// packages. It reports false if the setting is not understood.
func patchesOf(setting any) (files []string, ok bool) {
	patched, ok := setting.(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(patched)) {
		file, isText := patched[name].(string)
		if !isText {
			return nil, false
		}
		files = append(files, file)
	}
	return files, ok || setting == nil
}

// allowedBuilds returns the packages whose scripts pnpm runs by these settings, or nil if they do
// not restrict that.
func allowedBuilds(settings map[string]any) []string {
	if settings["dangerouslyAllowAllBuilds"] == true {
		return nil
	}
	if allow, ok := settings["allowBuilds"].(map[string]any); ok {
		names := []string{}
		for name, allowed := range byName(allow) {
			if allowed != false {
				names = append(names, name)
			}
		}
		return names
	}
	names, _ := texts(settings["onlyBuiltDependencies"])
	return names
}

// texts returns the strings of a list, which may be missing. It reports false if v is something
// else.
func texts(v any) (list []string, ok bool) {
	items, ok := v.([]any)
	for _, item := range items {
		text, is := item.(string)
		if !is {
			return nil, false
		}
		list = append(list, text)
	}
	return list, ok || v == nil
}

// localIn returns a string in v, at any depth, that seems to name a package from a path, or "".
func localIn(v any) string {
	switch v := v.(type) {
	case string:
		if localSpec(v) && !strings.HasPrefix(v, "workspace:") || localMark(v) != "" {
			return v
		}
	case []any:
		for _, one := range v {
			if at := localIn(one); at != "" {
				return at
			}
		}
	case map[string]any:
		for _, one := range byName(v) {
			if at := localIn(one); at != "" {
				return at
			}
		}
	}
	return ""
}

// patchFiles returns the files of patches, given relative to the working folder, as image
// paths. Of a folder that is meant for patches it returns all files, as more will be added.
func patchFiles(r reader, patches []string) (files []string, obstacle string) {
	for _, name := range patches {
		name = path.Clean(name)
		if path.IsAbs(name) || strings.HasPrefix(name, "..") || !r.exists(name) {
			return nil, fmt.Sprintf("the patch %s is not among the files", name)
		}
		list := []string{path.Join(r.dir, name)}
		if dir := path.Dir(name); wholeFolder(dir) {
			list = r.matching(dir + "/*")
		}
		for _, f := range list {
			if !slices.Contains(files, f) {
				files = append(files, f)
			}
		}
	}
	return files, ""
}
