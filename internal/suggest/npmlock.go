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

// lockForms are the patterns of a package among those that are installed, by lock file;
// NAME is its name.
var lockForms = []struct{ file, pattern string }{
	{"package-lock.json", `node_modules/NAME"\s*:\s*\{|"NAME"\s*:\s*\{\s*"version"`},
	{"npm-shrinkwrap.json", `node_modules/NAME"\s*:\s*\{|"NAME"\s*:\s*\{\s*"version"`},
	{"yarn.lock", `(?m)^"?NAME@`},
	{"pnpm-lock.yaml", `(?m)^  ['"]?/?NAME[@/]\d`},
	{"bun.lock", `"(?:[^"]*/)?NAME"\s*:\s*\[`},
}

// locked returns the first of the packages that a lock file names among those that are
// installed, or "".
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

// inStep reports whether the lock file agrees with package.json, so that npm install does not
// rewrite it.
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
