package suggest

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// cargoWiden is install.widen for cargo. It returns no files, but obstacles: cargo reads the
// manifests of workspace members and of dependencies with a path, and looks for the file of each
// target that has no path. It refuses a package without targets (cargo: util/toml/targets.rs).
func cargoWiden(r reader, has func(...string) bool) ([]string, string) {
	var m struct {
		Workspace map[string]any
		Lib       map[string]any
		Bin       []map[string]any
		Example   []map[string]any
		Test      []map[string]any
		Bench     []map[string]any
		Package   map[string]any
		Target    map[string]any
		Patch     map[string]any
		Deps      map[string]any `toml:"dependencies"`
		DevDeps   map[string]any `toml:"dev-dependencies"`
		BuildDeps map[string]any `toml:"build-dependencies"`
	}
	if err := toml.Unmarshal(r.local("Cargo.toml"), &m); err != nil {
		return nil, "Cargo.toml cannot be read"
	}
	noPath := func(target map[string]any) bool { return target["path"] == nil }
	switch {
	case m.Workspace != nil:
		return nil, "Cargo.toml is of a workspace: cargo reads the manifest, and the targets, of each member"
	case m.Lib == nil && len(m.Bin) == 0:
		return nil, "cargo takes the package for empty without src/main.rs or src/lib.rs: name the target in Cargo.toml, or use cargo-chef"
	case m.Lib != nil && noPath(m.Lib) || slices.ContainsFunc(slices.Concat(m.Bin, m.Example, m.Test, m.Bench), noPath):
		return nil, "cargo looks for the file of each target in Cargo.toml that has no path: write the path down, or use cargo-chef"
	case !r.exists("Cargo.lock"):
		return nil, "cargo would write a Cargo.lock, and the context has none"
	case !has("--locked", "--frozen") && !cargoInStep(r, m.Package, slices.Concat([]any{m.Deps, m.DevDeps, m.BuildDeps}, targets(m.Target))):
		return nil, "cargo would rewrite Cargo.lock, which does not agree with Cargo.toml: update it, or fetch with --locked"
	}
	for _, set := range []map[string]any{m.Deps, m.DevDeps, m.BuildDeps, m.Target, m.Patch} {
		if name := pathIn(set); name != "" {
			return nil, "Cargo.toml depends on a path of the sources: " + name
		}
	}
	for _, name := range []string{".cargo/config.toml", ".cargo/config"} {
		if at := cargoPlace.FindStringSubmatch(string(r.local(name))); at != nil {
			return nil, name + " leads to packages among the sources: " + at[1]
		}
		for _, image := range namedFiles(r, string(r.local(name))) {
			return nil, name + " leads to a file of the sources: " + image
		}
	}
	return nil, ""
}

// cargoInStep reports whether Cargo.lock has just the dependencies of Cargo.toml, given
// by its tables, with versions that fit: if not, cargo writes it anew.
func cargoInStep(r reader, pkg map[string]any, tables []any) bool {
	var lock struct {
		Package []struct {
			Name, Version string
			Dependencies  []string
		}
	}
	if toml.Unmarshal(r.local("Cargo.lock"), &lock) != nil {
		return false
	}
	versions := map[string][]string{}
	locked, found := map[string]bool{}, false
	for _, one := range lock.Package {
		versions[one.Name] = append(versions[one.Name], one.Version)
		if one.Name == pkg["name"] && (one.Version == pkg["version"] || pkg["version"] == nil && one.Version == "0.0.0") {
			found = true
			for _, d := range one.Dependencies {
				locked[strings.Fields(d + " ")[0]] = true
			}
		}
	}
	wanted := map[string]bool{}
	var visit func(table any) bool
	visit = func(table any) bool {
		deps, _ := table.(map[string]any)
		for name, spec := range deps {
			if name == "dependencies" || name == "dev-dependencies" || name == "build-dependencies" { // of a target
				if !visit(spec) {
					return false
				}
				continue
			}
			version, _ := spec.(string)
			if more, ok := spec.(map[string]any); ok {
				version, _ = more["version"].(string)
				if other, ok := more["package"].(string); ok {
					name = other
				}
			}
			wanted[name] = true
			if !slices.ContainsFunc(versions[name], func(v string) bool { return fits(version, v) }) {
				return false
			}
		}
		return true
	}
	return found && !slices.ContainsFunc(tables, func(t any) bool { return !visit(t) }) && maps.Equal(wanted, locked)
}

// plainVersion matches a requirement of cargo that is a version with no operator but "^".
var plainVersion = regexp.MustCompile(`^\^?\d+(\.\d+){0,2}$`)

// fits reports whether a version may meet a requirement of cargo. It returns true for
// requirements that are more than a version.
func fits(requirement, version string) bool {
	requirement = strings.ReplaceAll(requirement, " ", "")
	if exact, ok := strings.CutPrefix(requirement, "="); ok {
		return version == exact || strings.HasPrefix(version, exact+".") || strings.HasPrefix(version, exact+"+")
	}
	if !plainVersion.MatchString(requirement) {
		return true
	}
	want, have := strings.Split(strings.TrimPrefix(requirement, "^"), "."), strings.FieldsFunc(version, func(c rune) bool { return c == '.' || c == '-' || c == '+' })
	significant := false // a part that must not differ was seen
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

// targets returns the tables of the targets of Cargo.toml.
func targets(table map[string]any) (list []any) {
	for _, value := range table {
		list = append(list, value)
	}
	return list
}

// cargoPlace matches a setting of cargo that names a file or folder.
var cargoPlace = regexp.MustCompile(`(?m)^[^#\n]*(\b(?:directory|local-registry|paths|path|include)\s*=|file://)`)
