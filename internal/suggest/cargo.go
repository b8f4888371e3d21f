package suggest

import (
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// A cargoManifest holds the tables of a Cargo.toml that decide what cargo reads and locks.
type cargoManifest struct {
	Workspace map[string]any
	Package   map[string]any
	Lib       map[string]any
	Bin       []map[string]any
	Example   []map[string]any
	Test      []map[string]any
	Bench     []map[string]any
	Deps      map[string]any `toml:"dependencies"`
	DevDeps   map[string]any `toml:"dev-dependencies"`
	BuildDeps map[string]any `toml:"build-dependencies"`
	Target    map[string]any // by platform, tables with dependencies of its own
	Patch     map[string]any
	Replace   map[string]any // the older form of Patch
}

// cargoWiden is install.widen for cargo. It returns no files, but obstacles: cargo reads the
// manifests of workspace members and of dependencies with a path, and looks for the file of each
// target that has no path. It refuses a package without targets (cargo: util/toml/targets.rs).
func cargoWiden(r reader, has func(...string) bool) ([]string, string) {
	var m cargoManifest
	if err := toml.Unmarshal(r.local("Cargo.toml"), &m); err != nil {
		return nil, "Cargo.toml cannot be read"
	}
	noPath := func(target map[string]any) bool { return target["path"] == nil }
	switch {
	case m.Workspace != nil:
		return nil, "Cargo.toml is of a workspace: cargo reads the manifest, and the targets, of each member"
	case m.Package["workspace"] != nil:
		return nil, "Cargo.toml is of a workspace, whose root is elsewhere: cargo reads the manifest, and the targets, of each member"
	case m.Lib == nil && len(m.Bin) == 0:
		return nil, "cargo takes the package for empty without src/main.rs or src/lib.rs: name the target in Cargo.toml, or use cargo-chef"
	case m.Lib != nil && noPath(m.Lib) || slices.ContainsFunc(slices.Concat(m.Bin, m.Example, m.Test, m.Bench), noPath):
		return nil, "cargo looks for the file of each target in Cargo.toml that has no path: write the path down, or use cargo-chef"
	case !r.exists("Cargo.lock"):
		return nil, "cargo would write a Cargo.lock, and the context has none"
	case !has("--locked", "--frozen") && !m.lockedBy(r.local("Cargo.lock")):
		return nil, "cargo would rewrite Cargo.lock, which does not agree with Cargo.toml: update it, or fetch with --locked"
	}
	for _, table := range []map[string]any{m.Deps, m.DevDeps, m.BuildDeps, m.Target, m.Patch, m.Replace} {
		if name := pathIn(table); name != "" {
			return nil, "Cargo.toml depends on a path of the sources: " + name
		}
	}
	for dir := r.dir; ; dir = path.Dir(dir) {
		at := r
		at.dir = dir
		if obstacle := cargoSettings(at); obstacle != "" || dir == "/" || dir == "." || dir == baseDir {
			return nil, obstacle
		}
	}
}

// cargoSettings says which of cargo's settings in a folder lead to files or folders of the sources.
// These are relative to the folder that .cargo is in.
func cargoSettings(r reader) string {
	for _, name := range []string{".cargo/config.toml", ".cargo/config", "rust-toolchain.toml", "rust-toolchain"} {
		text := string(r.local(name))
		if at := cargoPlace.FindStringSubmatch(text); at != nil {
			return name + " leads to packages among the sources: " + at[1]
		}
		if files := namedFiles(r, text); len(files) > 0 {
			return name + " leads to a file of the sources: " + files[0]
		}
	}
	return ""
}

// A lockedCrate is a package in a Cargo.lock: the project itself, or one that it needs.
type lockedCrate struct {
	Name, Version string
	Dependencies  []string // names, perhaps with a version and a registry behind
}

// lockedBy reports whether a Cargo.lock has just the dependencies of the manifest, in versions that
// meet its requirements. If not, cargo writes the lock file anew.
func (m cargoManifest) lockedBy(text []byte) bool {
	var lock struct{ Package []lockedCrate }
	if toml.Unmarshal(text, &lock) != nil {
		return false
	}
	versions := map[string][]string{} // by package
	var locked map[string]bool        // dependencies of the project; nil if it is not in the lock file
	for _, crate := range lock.Package {
		versions[crate.Name] = append(versions[crate.Name], crate.Version)
		if !m.describes(crate) {
			continue
		}
		if locked == nil {
			locked = map[string]bool{}
		}
		for _, dependency := range crate.Dependencies {
			name, _, _ := strings.Cut(dependency, " ")
			locked[name] = true
		}
	}
	wanted := map[string]bool{}
	for _, d := range m.dependencies() {
		wanted[d.name] = true
		if !slices.ContainsFunc(versions[d.name], func(v string) bool { return fits(d.requirement, v) }) {
			return false
		}
	}
	return locked != nil && maps.Equal(wanted, locked)
}

// describes reports whether a package in the lock file is that of the manifest.
func (m cargoManifest) describes(crate lockedCrate) bool {
	version := m.Package["version"]
	if version == nil {
		version = "0.0.0" // what cargo takes it for
	}
	return crate.Name == m.Package["name"] && crate.Version == version
}

// A cargoDependency is a package that a manifest asks for.
type cargoDependency struct {
	name        string // of the package, whatever the project calls it
	requirement string // "" if there is none
}

// dependencies returns the dependencies in all tables of the manifest, and those for single
// platforms among them.
func (m cargoManifest) dependencies() (list []cargoDependency) {
	tables := []any{m.Deps, m.DevDeps, m.BuildDeps}
	for _, platform := range byName(m.Target) {
		tables = append(tables, platform)
	}
	for len(tables) > 0 {
		table, _ := tables[0].(map[string]any)
		tables = tables[1:]
		for name, value := range byName(table) {
			switch name {
			case "dependencies", "dev-dependencies", "build-dependencies": // for a platform
				tables = append(tables, value)
			default:
				list = append(list, newCargoDependency(name, value))
			}
		}
	}
	return list
}

// newCargoDependency returns what a key of a table of dependencies asks for: its value is a
// requirement, or a table with one.
func newCargoDependency(key string, value any) cargoDependency {
	d := cargoDependency{name: key}
	d.requirement, _ = value.(string)
	if table, ok := value.(map[string]any); ok {
		d.requirement, _ = table["version"].(string)
		if name, ok := table["package"].(string); ok {
			d.name = name
		}
	}
	return d
}

// plainVersion matches a requirement of cargo that is a version with no operator but "^".
var plainVersion = regexp.MustCompile(`^\^?\d+(\.\d+){0,2}$`)

// fits reports whether a version may meet a requirement of cargo. Of requirements that are more than
// a version, such as ">=1, <3", it says so without a look.
func fits(requirement, version string) bool {
	requirement = strings.ReplaceAll(requirement, " ", "")
	if exact, ok := strings.CutPrefix(requirement, "="); ok {
		return version == exact || strings.HasPrefix(version, exact+".") || strings.HasPrefix(version, exact+"+")
	}
	if !plainVersion.MatchString(requirement) {
		return true
	}
	want := strings.Split(strings.TrimPrefix(requirement, "^"), ".")
	have := strings.FieldsFunc(version, func(c rune) bool { return c == '.' || c == '-' || c == '+' })
	significant := false // a part that is not 0 was seen: from then on, a larger one fits as well
	for i, text := range want {
		if i >= len(have) {
			return false
		}
		a, errA := strconv.Atoi(text)
		b, errB := strconv.Atoi(have[i])
		switch {
		case errA != nil || errB != nil:
			return false
		case a != b:
			return significant && b > a
		}
		significant = significant || a != 0
	}
	return true
}

// cargoPlace matches a setting of cargo that names a file or folder.
var cargoPlace = regexp.MustCompile(`(?m)^[^#\n]*(\b(?:directory|local-registry|paths|path|include)\s*=|file://)`)
