package scaffold

import (
	"strings"

	"github.com/stokerd/stoker/internal/effects"
)

// A pythonTool is a package manager of Python's: data for pythonfile.go. All of
// them fill /app/.venv, which the image gets as a whole.
type pythonTool struct {
	name  string
	known []string // files by which it is known, the first one that is there
	reads []string // manifests that its install reads, if they are there
	setup string   // puts it into an image that has pip alone
	image string   // or an image that it is copied from
	env   []string
	venv  bool // the folder has to be made first
	// install brings the dependencies without the project, project the project too;
	// "" where the tool does not install projects.
	install, project string
	unlocked         string // the install where the lock file is missing
	cache            *effects.Cache
}

// pythonTools returns every one, the more telling first.
func pythonTools() []pythonTool {
	return []pythonTool{
		{
			name: "uv", known: []string{"uv.lock"}, reads: []string{"pyproject.toml", "uv.lock", "uv.toml", ".python-version"}, image: uvImage,
			env:     []string{"UV_LINK_MODE=copy", "UV_COMPILE_BYTECODE=1", "UV_PYTHON_DOWNLOADS=never"},
			install: "uv sync --locked --no-dev --no-install-project", project: "uv sync --locked --no-dev --no-editable", cache: effects.CacheOf("uv"),
		},
		{
			name: "poetry", known: []string{"poetry.lock"}, reads: []string{"pyproject.toml", "poetry.lock", "poetry.toml"}, setup: poetryPin,
			env:     []string{"POETRY_NO_INTERACTION=1", "POETRY_VIRTUALENVS_IN_PROJECT=true"},
			install: "poetry install --only main --no-root", project: "poetry install --only main",
			cache: effects.CacheOf("poetry"),
		},
		{
			name: "pipenv", known: []string{"Pipfile.lock", "Pipfile"}, reads: []string{"Pipfile", "Pipfile.lock"}, setup: pipenvPin,
			env: []string{"PIPENV_VENV_IN_PROJECT=1"}, install: "pipenv install --deploy", unlocked: "pipenv install", cache: effects.CacheOf("pipenv"),
		},
		{
			name: "pip", known: []string{"requirements.txt", "requirements/prod.txt", "requirements/production.txt", "requirements/base.txt"}, venv: true,
			install: "pip install -r %s", cache: effects.CacheOf("pip"),
		},
		{
			name: "pip", known: []string{"pyproject.toml", "setup.py"}, venv: true, project: "pip install .", cache: effects.CacheOf("pip"),
		},
	}
}

// A native package is one that pip compiles, and what it wants of Debian when it
// runs.
type native struct{ name, libraries string }

// natives are packages without binaries of their own. The full image has the
// compiler and their headers; what runs needs the libraries.
func natives() []native {
	return []native{
		{"psycopg2", "libpq5"}, {"psycopg", "libpq5"}, {"mysqlclient", "libmariadb3"}, {"python-ldap", "libldap2"}, {"pycairo", "libcairo2"},
		{"uwsgi", ""}, {"pyodbc", "unixodbc"}, {"gdal", "libgdal36"},
	}
}

// requires reports a package among requirements of any form, without its extras
// and its version; psycopg[binary] brings what it needs.
func requires(text, name string) bool {
	text = strings.ToLower(strings.ReplaceAll(text, "_", "-"))
	for at := 0; ; {
		i := strings.Index(text[at:], name)
		if i < 0 {
			return false
		}
		from, to := at+i, at+i+len(name)
		at = to
		before := from == 0 || !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789-._/", rune(text[from-1]))
		after := to == len(text) || !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789-._", rune(text[to]))
		if before && after && !strings.HasPrefix(text[to:], "[binary") {
			return true
		}
	}
}
