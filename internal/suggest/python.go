package suggest

import (
	"regexp"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// pythonWiden is install.widen for uv, poetry, pipenv and pdm. An install with these reads the
// project's file and its lock file; packages from a path, or the project itself if it is
// installed as well, are obstacles.
func pythonWiden(r reader, tool string, has func(...string) bool) ([]string, string) {
	name, lock := "pyproject.toml", tool+".lock"
	if tool == "pipenv" {
		name, lock = "Pipfile", "Pipfile.lock"
	}
	var m map[string]any
	if err := toml.Unmarshal(r.local(name), &m); err != nil {
		return nil, name + " cannot be read"
	}
	if !r.exists(lock) {
		return nil, tool + " would write " + lock + ", and the context has none"
	}
	if obstacle := environmentIn(r); obstacle != "" {
		return nil, obstacle
	}
	if at := pathIn(dependencyTables(m)); at != "" {
		return nil, name + " depends on a path of the sources: " + at
	}
	if tool == "uv" {
		if obstacle := uvObstacle(r); obstacle != "" {
			return nil, obstacle
		}
	}
	computed, _ := section(m, "project")["dynamic"].([]any)
	if slices.Contains(computed, any("dependencies")) || slices.Contains(computed, any("optional-dependencies")) {
		return nil, name + " has its dependencies computed"
	}
	return nil, lockObstacle(m, string(r.local("poetry.toml")), tool, has)
}

// environmentIn says which virtual environment the context brings into the working folder, or
// returns "". A COPY of the sources would overwrite there what the install made.
func environmentIn(r reader) string {
	for _, venv := range []string{".venv", "venv", "env"} {
		if r.exists(venv + "/pyvenv.cfg") {
			return "the virtual environment " + venv + " is in the build context: ignore it"
		}
	}
	return ""
}

// uvObstacle says which setting has uv look for packages in a folder, or why the settings are not
// known. It returns "" if uv takes packages from addresses alone.
func uvObstacle(r reader) string {
	inProject, ok := uvSettings(r.local("pyproject.toml"))
	if !ok {
		return "pyproject.toml cannot be read"
	}
	var inFile map[string]any
	if toml.Unmarshal(r.local("uv.toml"), &inFile) != nil {
		return "uv.toml cannot be read"
	}
	for _, settings := range []map[string]any{inProject, inFile} {
		if at := uvPlace(settings); at != "" {
			return "uv looks for packages in a folder of the sources: " + at
		}
	}
	return ""
}

// uvPlace returns the key of a setting of uv that names a folder or file of packages, or "".
func uvPlace(settings map[string]any) string {
	for _, key := range []string{"find-links", "index", "index-url", "extra-index-url", "pip", "cache-dir"} {
		value := settings[key]
		if indexes, ok := value.([]any); ok && key == "index" {
			var urls []any // without the names of the indexes
			for _, one := range indexes {
				if index, ok := one.(map[string]any); ok {
					urls = append(urls, index["url"])
				}
			}
			value = urls
		}
		if slices.ContainsFunc(textsIn(value), func(text string) bool {
			// In the table of uv pip, texts that do not look like a path are something else.
			mayBePath := key != "pip" || strings.ContainsAny(text, "./")
			return mayBePath && !strings.Contains(text, "://") || strings.HasPrefix(text, "file:")
		}) {
			return key
		}
	}
	return ""
}

// textsIn returns all strings in v, at any depth.
func textsIn(v any) (list []string) {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		for _, one := range v {
			list = append(list, textsIn(one)...)
		}
	case map[string]any:
		for _, one := range byName(v) {
			list = append(list, textsIn(one)...)
		}
	}
	return list
}

// poetryPlace matches a setting in poetry.toml that names a folder.
var poetryPlace = regexp.MustCompile(`(?m)^[ \t]*(?:virtualenvs\.)?(?:path|cache-dir|data-dir|config-dir)[ \t]*=`)

// lockObstacle says what an install with the tool does beside installing the packages of the lock
// file: it may rewrite that, run scripts or install the project. It returns "" if it does nothing
// else. m is the project's file, and settings the text of poetry.toml.
func lockObstacle(m map[string]any, settings, tool string, has func(...string) bool) string {
	_, builds := m["build-system"]
	switch tool {
	case "uv":
		if section(m, "tool", "uv", "workspace") != nil {
			return "pyproject.toml is of a workspace: uv reads the file of each member"
		}
		if !has("--frozen", "--locked") {
			return "`uv sync` may rewrite uv.lock: use --locked"
		}
		packaged := section(m, "tool", "uv")["package"]
		if (builds && packaged != false || packaged == true) && !has("--no-install-project", "--no-install-workspace") {
			return "`uv sync` also installs the project itself: install its dependencies alone first, with --no-install-project"
		}
	case "poetry":
		if at := poetryPlace.FindString(settings); at != "" {
			return "poetry.toml says where something lies (" + strings.Trim(at, " \t=\n") + "), which may be among the sources"
		}
		if section(m, "tool", "poetry")["package-mode"] != false && (!has("--no-root") || has("--only-root")) {
			return "`poetry install` also installs the project itself: install its dependencies alone first, with --no-root"
		}
	case "pipenv":
		if !has("--deploy", "--ignore-pipfile") {
			return "pipenv may rewrite Pipfile.lock: use `pipenv install --deploy`"
		}
	case "pdm":
		// PDM: docs, "Pre/Post hooks".
		for _, name := range []string{"pre_install", "post_install", "pre_lock", "post_lock"} {
			if section(m, "tool", "pdm", "scripts")[name] != nil {
				return "pyproject.toml has a " + name + " script, which the install runs and which may read the sources"
			}
		}
		if !has("--frozen-lockfile", "--no-lock", "--check") {
			return "pdm may rewrite pdm.lock: use --frozen-lockfile"
		}
	}
	return ""
}

// dependencyTables returns the values of all keys in a project's file that name packages or where
// they come from.
func dependencyTables(m map[string]any) []any {
	keys := []string{"source", "sources", "packages", "dev-packages", "dependency-groups", "requires-plugins"}
	var list []any
	var visit func(t map[string]any)
	visit = func(t map[string]any) {
		for name, value := range byName(t) {
			_, isList := value.([]any)
			table, isTable := value.(map[string]any)
			switch {
			case name == "packages" && isList:
				// In poetry's table, these are folders of the project itself.
			case slices.Contains(keys, name) || strings.HasSuffix(name, "dependencies"):
				list = append(list, value)
			case isTable:
				visit(table)
			}
		}
	}
	visit(m)
	return list
}

// section returns the table at a path of keys, or nil if there is none.
func section(m map[string]any, names ...string) map[string]any {
	for _, name := range names {
		m, _ = m[name].(map[string]any)
	}
	return m
}
