package suggest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// convertsLock matches the setting of an .npmrc by which npm writes package-lock.json in another
// form than it finds.
var convertsLock = regexp.MustCompile(`(?m)^\s*lockfile-version\s*=`)

// writesOldLock reports whether a base image has an npm before 7, which converts package-lock.json
// to a form that inStep does not know. Node comes with npm 7 since version 15.
func writesOldLock(base string) bool {
	_, tag, _ := strings.Cut(base, ":")
	major, err := strconv.Atoi(majorVersion.FindString(tag))
	return imageName(base) == "node" && err == nil && major < 15
}

// majorVersion matches the first number of a tag that begins with a version.
var majorVersion = regexp.MustCompile(`^\d+`)

// lockForms are patterns that find a package in lock files, among those that get installed. NAME
// stands for the name of the package.
var lockForms = []struct{ file, pattern string }{
	{"package-lock.json", `node_modules/NAME"\s*:\s*\{|"NAME"\s*:\s*\{\s*"version"`},
	{"npm-shrinkwrap.json", `node_modules/NAME"\s*:\s*\{|"NAME"\s*:\s*\{\s*"version"`},
	{"yarn.lock", `(?m)^"?NAME@`},
	{"pnpm-lock.yaml", `(?m)^  ['"]?/?NAME[@/]\d`},
	{"bun.lock", `"(?:[^"]*/)?NAME"\s*:\s*\[`},
}

// locked returns the first of these packages that a lock file says to install, or "".
func locked(r reader, names []string) string {
	for _, form := range lockForms {
		text := r.local(form.file)
		for _, name := range names {
			if bytes.Contains(text, []byte(name)) && regexp.MustCompile(strings.ReplaceAll(form.pattern, "NAME", regexp.QuoteMeta(name))).Match(text) {
				return name
			}
		}
	}
	return ""
}

// described are the fields of a package.json, beside its dependencies, that npm keeps in
// package-lock.json as well (Arborist: Shrinkwrap, pkgMetaKeys).
var described = []string{"version", "engines", "os", "cpu", "libc", "license", "funding", "workspaces", "bundleDependencies", "peerDependenciesMeta", "deprecated"}

// inStep reports whether the lock file of npm agrees with package.json and those of the workspaces,
// so that npm install does not rewrite it.
func inStep(r reader) bool {
	lockfile := path.Join(r.dir, "npm-shrinkwrap.json")
	if r.file(lockfile) == nil {
		lockfile = path.Join(r.dir, "package-lock.json")
	}
	var pkg packageJSON
	var lock struct {
		Name            string
		LockfileVersion int
		Requires        bool
		Packages        map[string]json.RawMessage // by folder; "" is that of the project
	}
	if json.Unmarshal(r.local("package.json"), &pkg) != nil || json.Unmarshal(r.file(lockfile), &lock) != nil {
		return false
	}
	name := cmp.Or(pkg.Name, path.Base(r.dir)) // npm calls a project without a name like its folder
	if lock.LockfileVersion < 2 || !lock.Requires || lock.Packages[""] == nil || lock.Name != name {
		return false
	}
	for folder, entry := range lock.Packages {
		if strings.HasPrefix(folder, "node_modules/") || strings.Contains(folder, "/node_modules/") {
			continue // not of the project
		}
		manifest := r.file(resolve(r.dir, path.Join(folder, "package.json"), 0))
		if !describes(manifest, entry, folder == "") {
			return false
		}
	}
	return true
}

// describes reports whether an entry of package-lock.json is what npm writes there of a package.json.
// root says that it is the entry of the project, which has its name.
func describes(manifest, entry []byte, root bool) bool {
	var pkg, locked packageJSON
	var fields, kept map[string]any // the same as pkg and locked, with all fields
	for _, v := range []any{&pkg, &fields} {
		if json.Unmarshal(manifest, v) != nil {
			return false
		}
	}
	for _, v := range []any{&locked, &kept} {
		if json.Unmarshal(entry, v) != nil {
			return false
		}
	}
	switch {
	case pkg.Name != locked.Name && (locked.Name != "" || root):
		return false
	case !pkg.equal(locked.dependencies) || !reflect.DeepEqual(commandsOf(pkg.Name, fields["bin"]), kept["bin"]):
		return false
	case pkg.hasInstallScript(fields) != (kept["hasInstallScript"] == true):
		return false
	}
	return !slices.ContainsFunc(described, func(field string) bool { return !reflect.DeepEqual(fields[field], kept[field]) })
}

// hasInstallScript reports whether npm notes that the package has scripts that an install runs, or
// that its package.json, given by all fields, says so itself.
func (p packageJSON) hasInstallScript(fields map[string]any) bool {
	return fields["hasInstallScript"] == true || p.Scripts["preinstall"] != "" || p.Scripts["install"] != "" || p.Scripts["postinstall"] != ""
}

// commandsOf returns the field bin of a package.json in the form that npm keeps: a single file, whose
// command is called like the package, as a map of commands, and all paths clean.
func commandsOf(name string, bin any) any {
	if file, ok := bin.(string); ok {
		bin = map[string]any{path.Base(name): file}
	}
	commands, ok := bin.(map[string]any)
	if !ok {
		return bin
	}
	for command, file := range commands {
		if file, ok := file.(string); ok {
			commands[command] = path.Clean(file)
		}
	}
	return commands
}
