package scaffold

import (
	"strings"

	"github.com/stokerd/stoker/internal/effects"
)

// A pythonTool is a package manager of Python: its files, and its commands for pythonfile.go.
// All of them install to /app/.venv, which is copied to the image.
type pythonTool struct {
	name  string
	known []string // an app uses the tool if it has one of these files
	reads []string // manifests that an install reads, if they exist
	setup string   // what pip installs to get the tool; "" if it is not installed that way
	image string   // an image from which the tool is copied; "" for none
	env   []string // NAME=value
	venv  bool     // the virtual environment has to be made before
	// install installs the dependencies without the project, and project both; "" if the
	// tool cannot.
	install, project string
	unlocked         string // installs the dependencies without a lock file
	cache            *effects.Cache
}

// pythonTools returns the package managers. An app uses the first one of which it has a file.
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

// A native is a package that pip compiles, with the Debian package of the libraries that it needs
// at run time; "" for none.
type native struct{ name, libraries string }

// natives returns packages that have no binaries. The full image of Python has the compiler and
// the headers for them.
func natives() []native {
	return []native{
		{"psycopg2", "libpq5"}, {"psycopg", "libpq5"}, {"mysqlclient", "libmariadb3"}, {"python-ldap", "libldap2"}, {"pycairo", "libcairo2"},
		{"uwsgi", ""}, {"pyodbc", "unixodbc"}, {"gdal", "libgdal36"},
	}
}

// requires reports whether a text with requirements, in any format, has a package. One with the
// extra "binary", such as psycopg[binary], does not count, because it need not be compiled.
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
