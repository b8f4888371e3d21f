package scaffold

import (
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/stokerd/stoker/internal/effects"
)

// distrolessPython is the only version that distroless images of this Debian have.
const distrolessPython = "3.13"

// bases implements maker: Python needs a C library, and apps with further libraries need Debian.
func (p *python) bases(*App) ([]Base, map[Base]string) {
	why := map[Base]string{
		Scratch:    "Python needs a C library and its own files",
		Distroless: "its Python is " + distrolessPython + ", and this app's is " + p.released.name,
	}
	can := []Base{Slim}
	if len(p.libs) == 0 {
		can = append(can, Alpine)
	} else {
		why[Alpine] = p.compiles + " needs libraries whose names on Alpine are not known here"
		why[Distroless] = p.compiles + " needs " + strings.Join(p.libs, " and ") + ", and distroless has no package manager"
		return can, why
	}
	if p.released.name == distrolessPython {
		can = append(can, Distroless)
	}
	return can, why
}

// image returns the image of Python for a base. full asks for the one with a compiler, which only
// Debian has.
func (p *python) image(base Base, full bool) string {
	switch {
	case base == Alpine:
		return "python:" + p.released.name + "-alpine"
	case full:
		return "python:" + p.released.name + "-" + p.released.debian()
	}
	return "python:" + p.released.name + "-slim-" + p.released.debian()
}

// write implements maker. The stages are build, which makes .venv, and the image itself.
func (p *python) write(a *App, base Base, d *page, ignore *ignoreList) {
	p.ignore(a, ignore)
	why := "The virtual environment is made here, and goes to the image as a whole: pip and compilers stay behind."
	if p.compiles != "" && base != Alpine {
		why += " The full image has the compiler and the headers that " + p.compiles + " asks for."
	}
	d.from(p.image(base, p.compiles != ""), "build", why)
	d.add("WORKDIR /app")
	if p.compiles != "" && base == Alpine {
		d.run(nil, "apk add --no-cache build-base linux-headers")
	}
	p.writeTool(d)
	p.writeInstall(a, d)
	p.writeImage(a, base, d)
}

// writeTool installs the package manager.
func (p *python) writeTool(d *page) {
	if p.tool.image != "" {
		d.add("COPY --from=" + p.tool.image + " /uv /usr/local/bin/uv")
	}
	if p.tool.setup != "" {
		d.run(mountsOf(effects.CacheOf("pip"), "python"), "pip install "+p.tool.setup)
	}
	if len(p.tool.env) > 0 {
		d.env(p.tool.env...)
	}
	if p.tool.venv {
		d.run(nil, "python -m venv /app/.venv")
		d.env("PATH=/app/.venv/bin:$PATH")
	}
}

// writeInstall installs the dependencies, then the project.
func (p *python) writeInstall(a *App, d *page) {
	mounts := mountsOf(p.tool.cache, "python")
	install, project := p.tool.install, p.tool.project
	if strings.Contains(install, "%s") {
		install = fmt.Sprintf(install, p.manifest)
	}
	if p.members != nil {
		member := " --package " + p.memberName(a)
		install, project = strings.Replace(install, "--no-install-project", "--no-install-workspace", 1)+member, project+member
	}
	if install != "" {
		d.note("Installed again only when a manifest changes.")
		if p.members != nil {
			d.add("COPY --parents " + strings.Join(append(p.copied, p.members...), " ") + " ./")
		} else {
			p.copyFiles(d)
		}
		d.run(mounts, install)
	}
	if p.project {
		d.note("The project itself, whose metadata may name any of its files.")
		d.add("COPY . .")
		d.run(mounts, project)
	}
	if p.brought {
		d.note("The framework's own server is for development. Better than here, this one stands among the requirements.")
		server := p.server + serverPin(p.server)
		pip := mountsOf(effects.CacheOf("pip"), "python")
		switch {
		case p.tool.name == "uv":
			d.run(mounts, "uv pip install "+server)
		case p.tool.venv:
			d.run(pip, "pip install "+server)
		default:
			d.run(pip, "pip --python /app/.venv/bin/python install "+server)
		}
		d.hint("%s is not among the requirements: the image adds it", p.server)
	}
}

// serverPin returns the version, as pip takes it after a name, of a server that the image adds.
func serverPin(name string) string {
	if name == "uvicorn" {
		return "==0.38.0"
	}
	return "==23.0.0"
}

// memberName returns the name by which uv knows a member, which is that of its project.
func (p *python) memberName(a *App) string {
	if name, ok := p.pkg.Project.Name.(string); ok && plain.MatchString(name) {
		return name
	}
	return a.Name
}

// copyFiles copies the manifests, with one COPY for each folder.
func (p *python) copyFiles(d *page) {
	var order []string
	byDir := map[string][]string{}
	for _, name := range p.copied {
		dir := path.Dir(name)
		if byDir[dir] == nil {
			order = append(order, dir)
		}
		byDir[dir] = append(byDir[dir], name)
	}
	for _, dir := range order {
		d.add("COPY " + strings.Join(byDir[dir], " ") + " ./" + strings.TrimPrefix(dir+"/", "./"))
	}
}

// writeImage adds the last stage.
func (p *python) writeImage(a *App, base Base, d *page) {
	user, entrypoint := p.writeRuntime(base, d)
	d.env(append([]string{"PYTHONUNBUFFERED=1", "PYTHONDONTWRITEBYTECODE=1"}, p.paths(a, base)...)...)
	d.add("WORKDIR /app", "COPY --from=build /app/.venv ./.venv")
	p.writeFiles(a, d)
	if a.Framework == "Django" {
		d.note("For static files: RUN python manage.py collectstatic --noinput, with the settings that this project's need.")
	}
	check := []string{"python", "-c", pythonCheck(a)}
	cmd := p.command(a)
	if base == Distroless { // its entrypoint is python3
		check[0] = "/usr/bin/python3"
		if cmd[0] == "python" {
			cmd = cmd[1:]
		} else {
			cmd = append([]string{"-m"}, cmd...)
		}
	}
	d.end(a, user, check, entrypoint, cmd)
}

// paths returns the environment variables by which programs and modules are found.
func (p *python) paths(a *App, base Base) []string {
	var modules []string
	if base == Distroless {
		// The interpreter in the virtual environment is that of the build's image.
		modules = append(modules, "/app/.venv/lib/python"+p.released.name+"/site-packages")
	}
	if !p.installed && p.s.isDir(a.Dir, "src") && p.kind != "script" {
		modules = append(modules, path.Join("/app", a.inContext("src")))
	}
	var pairs []string
	if base != Distroless {
		pairs = append(pairs, "PATH=/app/.venv/bin:$PATH")
	}
	if len(modules) > 0 {
		pairs = append(pairs, "PYTHONPATH="+strings.Join(modules, ":"))
	}
	return pairs
}

// writeFiles copies the files of the app that are not in the virtual environment.
func (p *python) writeFiles(a *App, d *page) {
	at := a.inContext(".")
	switch {
	case p.installed && (p.kind != "script" || !strings.HasSuffix(a.Entry, ".py")) && a.Framework != "Django":
		d.note("The project is installed: what else it reads when it runs has to be copied here.")
		for _, dir := range append(assets(), "alembic", "alembic.ini") {
			if p.s.has(a.Dir, dir) {
				d.add("COPY " + a.inContext(dir) + " ./" + dir)
			}
		}
	case at != ".":
		d.add("WORKDIR /app/"+at, "COPY "+at+" ./")
	default:
		d.add("COPY . .")
	}
}

// pythonCheck returns a script for a health check, which needs nothing but Python. It requests the
// health path, and succeeds with any status below 500.
func pythonCheck(a *App) string {
	return fmt.Sprintf("import http.client, sys; c = http.client.HTTPConnection('127.0.0.1', %d, timeout=4); c.request('GET', '%s'); sys.exit(c.getresponse().status >= 500)", a.Port, a.Health)
}

// writeRuntime begins the last stage, and returns its user and the command of its init.
func (p *python) writeRuntime(base Base, d *page) (string, []string) {
	switch base {
	case Distroless:
		d.from("gcr.io/distroless/python3-"+distroless+":nonroot", "runtime",
			"distroless: Python "+distrolessPython+", and neither a shell nor a package manager. Nor an init: start it with `docker run --init` (compose: init: true).")
		d.hint("distroless has no init: start the container with --init (compose: init: true)")
		return "65532:65532", nil
	case Alpine:
		d.from(p.image(base, false), "runtime", "alpine: the smallest image with a shell; packages need binaries for its C library (musllinux), or are compiled. "+
			"tini is process 1: it passes signals on and reaps what dies.")
		d.run(nil, "apk add --no-cache tini", "addgroup -S -g 10001 app", "adduser -S -u 10001 -G app app")
		return "10001:10001", []string{"/sbin/tini", "--"}
	}
	d.from(p.image(base, false), "runtime", "slim: Debian without compilers, with the C library that binary packages (manylinux) are made for. "+
		"tini is process 1: it passes signals on and reaps what dies.")
	install := "apt-get install --yes --no-install-recommends tini"
	if len(p.libs) > 0 {
		install += " " + strings.Join(p.libs, " ")
	}
	d.run(nil, "apt-get update", install, "rm -rf /var/lib/apt/lists/*", "groupadd --system --gid 10001 app",
		"useradd --system --uid 10001 --gid app --create-home app")
	return "10001:10001", []string{"/usr/bin/tini", "--"}
}

// command returns the command that starts the app.
func (p *python) command(a *App) []string {
	port := strconv.Itoa(a.Port)
	switch p.server {
	case "gunicorn":
		return []string{"gunicorn", "--bind", "0.0.0.0:" + port, a.Entry}
	case "waitress":
		return []string{"waitress-serve", "--port=" + port, a.Entry}
	case "uvicorn":
		words := []string{"uvicorn", "--host", "0.0.0.0", "--port", port, a.Entry}
		if name, ok := strings.CutSuffix(a.Entry, "()"); ok {
			words = append(words[:5], "--factory", name)
		}
		return words
	case "hypercorn":
		return []string{"hypercorn", "--bind", "0.0.0.0:" + port, a.Entry}
	}
	switch {
	case p.module != "":
		return []string{"python", "-m", p.module}
	case strings.HasSuffix(a.Entry, ".py"):
		return []string{"python", a.Entry}
	}
	return []string{a.Entry} // a program that the install made
}

// ignore adds to the ignore file what no build of the app needs.
func (p *python) ignore(a *App, l *ignoreList) {
	l.add("Made in the image, for its platform.", "**/.venv", "venv", "**/__pycache__", "**/*.pyc")
	l.add("Left by tests and tools.", "**/.pytest_cache", "**/.mypy_cache", "**/.ruff_cache", "**/.tox", "**/.nox", "**/.coverage", "**/htmlcov", "**/*.egg-info", "**/*.log")
	l.add("A database of this machine.", p.s.matching(a.Dir, "db.sqlite3")...)
	l.env()
	l.common()
	l.docs(p.s, a.Context, []string{".py", ".toml", ".cfg", ".in"})
}
