package scaffold

import (
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
)

// These match what source files contain.
var (
	// wsgiObject matches an app that is a variable of a module, and appFactory a function that
	// returns one.
	wsgiObject = regexp.MustCompile(`(?m)^(\w+)\s*(?::\s*\w+\s*)?=\s*(?:flask\.)?(Flask|Bottle|Falcon|falcon\.App|Quart|Sanic|Starlette|Litestar|FastAPI|fastapi\.FastAPI)\(`)
	appFactory = regexp.MustCompile(`(?m)^(async )?def (create_app|make_app)\(`)
	// fastapiExtra matches a requirement of FastAPI with an extra that contains uvicorn.
	fastapiExtra = regexp.MustCompile(`(?m)\bfastapi\[[^\]\n]*(standard|all)|^fastapi\b.*"(standard|all)"`)
	// settings matches the module with the settings of an app in Django.
	settings = regexp.MustCompile(`DJANGO_SETTINGS_MODULE["'],\s*["']([\w.]+)\.settings(?:\.\w+)*["']`)
)

// asyncFrameworks returns the frameworks that need a server for ASGI.
func asyncFrameworks() []string {
	return []string{"FastAPI", "Starlette", "Quart", "Litestar", "Sanic"}
}

// findEntry finds what the app starts; false for a package that starts nothing.
func (p *python) findEntry(a *App) bool {
	stop := func(dir string) bool { return dir != a.Dir && pythonDir(p.s, dir) }
	if p.s.has(a.Dir, "manage.py") {
		if m := settings.FindStringSubmatch(string(p.s.read(a.Dir, "manage.py"))); m != nil {
			return p.django(a, m[1])
		}
	}
	r := p.s.search(a.Dir, []string{".py"}, stop, wsgiObject, appFactory)
	switch {
	case r[0].path != "":
		kind := strings.TrimPrefix(strings.TrimPrefix(r[0].groups[1], "falcon."), "fastapi.")
		a.Framework = kind
		if kind == "App" {
			a.Framework = "Falcon"
		}
		a.Entry = p.moduleOf(a, r[0].path) + ":" + r[0].groups[0]
		a.say(r[0].path, "%s, %s", a.Framework, a.Entry)
	case r[1].path != "" && (requires(p.needs, "flask") || requires(p.needs, "fastapi")):
		a.Framework = "Flask"
		if requires(p.needs, "fastapi") {
			a.Framework = "FastAPI"
		}
		a.Entry = p.moduleOf(a, r[1].path) + ":" + r[1].groups[1] + "()"
		a.say(r[1].path, "%s, made by %s()", a.Framework, r[1].groups[1])
	default:
		return p.script(a)
	}
	p.kind = "wsgi"
	if slices.Contains(asyncFrameworks(), a.Framework) {
		p.kind = "asgi"
	}
	p.findServer(a)
	return true
}

// django sets the entry of an app in Django. Its WSGI or ASGI object is in the package module, as
// are its settings.
func (p *python) django(a *App, module string) bool {
	a.Framework, p.kind = "Django", "django"
	object := "wsgi"
	dir := strings.ReplaceAll(module, ".", "/")
	if p.s.has(a.Dir, dir+"/asgi.py") {
		wanted := requires(p.needs, "uvicorn") && !requires(p.needs, "gunicorn")
		if wanted || !p.s.has(a.Dir, dir+"/wsgi.py") {
			object = "asgi"
		}
	}
	a.Entry = module + "." + object + ":application"
	a.say(path.Join(a.Dir, "manage.py"), "Django, %s", a.Entry)
	if object == "asgi" {
		p.kind = "asgi"
	}
	p.findServer(a)
	return true
}

// findServer finds the server of the app: a requirement, else gunicorn or uvicorn. The server that
// comes with a framework is for development only.
func (p *python) findServer(a *App) {
	known := []string{"gunicorn", "waitress"}
	if p.kind == "asgi" {
		known = []string{"uvicorn", "hypercorn"}
	}
	for _, name := range known {
		if requires(p.needs, name) || name == "uvicorn" && fastapiExtra.MatchString(p.needs) {
			p.server = name
			a.say(path.Join(a.Context, p.manifest), "served by %s", name)
			return
		}
	}
	p.server, p.brought = known[0], true
	a.say("", "served by %s, which the image adds: no server is among the requirements", known[0])
}

// moduleOf returns the module name of a file, as seen from the folder of the app.
func (p *python) moduleOf(a *App, file string) string {
	rel := strings.TrimSuffix(strings.TrimPrefix(file, strings.TrimPrefix(a.Dir+"/", "./")), ".py")
	rel = strings.TrimPrefix(rel, "src/")
	return strings.ReplaceAll(strings.TrimSuffix(rel, "/__init__"), "/", ".")
}

// script sets the entry of a program that is not served by a web server; false if there is none.
func (p *python) script(a *App) bool {
	p.kind = "script"
	for _, name := range []string{"main.py", "app.py", "__main__.py", "run.py", "server.py", "src/main.py"} {
		if p.s.has(a.Dir, name) {
			a.Entry = name
			a.say(path.Join(a.Dir, name), "starts it, by its name")
			return true
		}
	}
	if !p.project {
		return false
	}
	for _, name := range slices.Sorted(maps.Keys(p.pkg.Project.Scripts)) {
		module, _, _ := strings.Cut(p.pkg.Project.Scripts[name], ":")
		if plain.MatchString(name) && plain.MatchString(module) && !strings.Contains(name, "/") {
			a.Entry, p.module = name, "" // the install makes a program of that name
			a.say(path.Join(a.Dir, "pyproject.toml"), "starts %s (project.scripts)", name)
			return true
		}
	}
	return false
}
