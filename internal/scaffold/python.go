package scaffold

import (
	"cmp"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// A pyproject is the part of a pyproject.toml that is used.
type pyproject struct {
	Project struct {
		Name, Description, Readme any
		Requires                  string `toml:"requires-python"`
		Dependencies              []string
		Scripts                   map[string]string
	}
	Build map[string]any `toml:"build-system"`
	Tool  struct {
		Poetry struct {
			Name, Description string
			Readme            any
			Dependencies      map[string]any
			Package           *bool `toml:"package-mode"`
		}
		UV struct {
			Package   *bool
			Workspace struct{ Members, Exclude []string }
			Sources   map[string]any
		}
	}
}

// python is the maker of an app in Python.
type python struct {
	s         *survey
	pkg       pyproject
	tool      pythonTool
	manifest  string   // the file by which the tool is known: a requirements file for pip
	copied    []string // manifests, relative to the context
	members   []string // manifests of a uv workspace, relative to the context
	project   bool     // after the dependencies, the project is installed
	installed bool     // the app itself is a part of that
	needs     string   // the texts of all files with requirements
	kind      string   // wsgi, asgi, django or script
	server    string   // gunicorn, uvicorn …; "" for a script
	brought   bool     // the image adds the server, which is not a requirement
	compiles  string   // the first package that has to be compiled; "" if none has
	libs      []string // Debian packages that the compiled ones need at run time
	released  release
	module    string // to start with `python -m`; "" for none
}

// pythonApps finds the apps in Python.
func pythonApps(s *survey) []App {
	var apps []App
	for _, dir := range s.dirs {
		p := &python{s: s}
		if text := s.read(dir, "pyproject.toml"); text != nil {
			_ = toml.Unmarshal(text, &p.pkg) // one that does not parse is ignored
		}
		a := App{Dir: dir, Context: dir, Language: Python, Health: "/", maker: p}
		if p.detect(&a) {
			apps = append(apps, a)
		}
	}
	return apps
}

// pythonDir reports whether a folder has a project in Python.
func pythonDir(s *survey, dir string) bool {
	return s.first(dir, "pyproject.toml", "requirements.txt", "Pipfile", "setup.py", "manage.py") != ""
}

// detect sets what is known about the app; false if there is none that can be started.
func (p *python) detect(a *App) bool {
	if !pythonDir(p.s, a.Dir) || !p.findTool(a) {
		return false
	}
	name, _ := p.pkg.Project.Name.(string)
	a.Name = word(cmp.Or(name, p.pkg.Tool.Poetry.Name, p.s.folderName(a.Dir)))
	p.findNeeds(a)
	if !p.findEntry(a) {
		return false
	}
	p.findVersion(a)
	p.findNative(a)
	p.findPort(a)
	description, _ := p.pkg.Project.Description.(string)
	a.labels = labels{title: a.Name, description: cmp.Or(description, p.pkg.Tool.Poetry.Description)}
	a.Tool = p.tool.name
	return true
}

// findTool finds the package manager by its files, which for a member of a uv workspace are in a
// folder above it; false if there are none.
func (p *python) findTool(a *App) bool {
	if root := uvRoot(p.s, a.Dir); root != "" {
		a.Context = root
		a.say(path.Join(root, "pyproject.toml"), "%s is a member of %s's workspace", a.Dir, a.contextName())
	}
	for _, t := range pythonTools() {
		if file := p.s.first(a.Context, t.known...); file != "" {
			p.tool, p.manifest = t, file
			a.say(path.Join(a.Context, file), "%s", t.name)
			break
		}
	}
	if p.tool.name == "" {
		return false
	}
	for _, name := range p.tool.reads {
		if p.s.has(a.Context, name) {
			p.copied = append(p.copied, name)
		}
	}
	p.findProject(a)
	return true
}

// findProject finds out whether the package manager installs the project itself, and completes what
// an install reads.
func (p *python) findProject(a *App) {
	switch p.tool.name {
	case "uv":
		p.project = p.pkg.Build != nil || p.pkg.Tool.UV.Package != nil && *p.pkg.Tool.UV.Package
		p.installed = p.project
		if a.Dir != a.Context {
			p.members = uvMembers(p.s, a.Context)
			p.project = true // at least the members that the app needs
		}
	case "pipenv":
		if p.manifest == "Pipfile" {
			p.tool.install = p.tool.unlocked
			a.say("", "no lock file: each build may get other versions")
		}
	case "poetry":
		p.project = p.pkg.Build != nil && (p.pkg.Tool.Poetry.Package == nil || *p.pkg.Tool.Poetry.Package) && p.packaged(a)
		p.installed = p.project
	case "pip":
		p.project = p.tool.install == ""
		p.installed = p.project
		if !p.project {
			p.copied = requirementFiles(p.s, a.Context, p.manifest)
		}
	}
}

// packaged reports whether the folder of the app has the package that poetry would install.
func (p *python) packaged(a *App) bool {
	name := strings.ReplaceAll(a.Name, "-", "_")
	if full, ok := p.pkg.Project.Name.(string); ok {
		name = strings.ReplaceAll(full, "-", "_")
	} else if p.pkg.Tool.Poetry.Name != "" {
		name = strings.ReplaceAll(p.pkg.Tool.Poetry.Name, "-", "_")
	}
	return p.s.isDir(a.Dir, name) || p.s.isDir(a.Dir, "src/"+name)
}

// requirementFiles returns a file with requirements and those that it refers to with -r and -c, at
// any distance.
func requirementFiles(s *survey, dir, file string) []string {
	list := []string{file}
	for i := 0; i < len(list); i++ {
		for line := range strings.Lines(string(s.read(dir, list[i]))) {
			fields := strings.Fields(line)
			if len(fields) == 2 && slices.Contains([]string{"-r", "-c", "--requirement", "--constraint"}, fields[0]) {
				name := path.Join(path.Dir(list[i]), fields[1])
				if s.has(dir, name) && plain.MatchString(name) && !strings.HasPrefix(name, "..") && !slices.Contains(list, name) {
					list = append(list, name)
				}
			}
		}
	}
	return list
}

// uvRoot returns the root of the uv workspace that a folder is a member of, or "" if it is of none.
func uvRoot(s *survey, dir string) string {
	for at := dir; at != "."; {
		at = path.Dir(at)
		rel, ok := below(at, dir)
		if !ok || !s.has(at, "uv.lock") {
			continue
		}
		var m pyproject
		if toml.Unmarshal(s.read(at, "pyproject.toml"), &m) == nil && matchesAny(m.Tool.UV.Workspace.Members, rel) {
			return at
		}
	}
	return ""
}

// uvMembers returns the manifests of the members of a uv workspace, as patterns.
func uvMembers(s *survey, root string) []string {
	var m pyproject
	if toml.Unmarshal(s.read(root, "pyproject.toml"), &m) != nil {
		return nil
	}
	var list []string
	for _, p := range m.Tool.UV.Workspace.Members {
		if plain.MatchString(strings.ReplaceAll(p, "*", "x")) {
			list = append(list, strings.Trim(p, "/")+"/pyproject.toml")
		}
	}
	return list
}

// findNeeds gathers the texts of the files with requirements.
func (p *python) findNeeds(a *App) {
	var b strings.Builder
	for _, name := range p.copied {
		if !strings.HasSuffix(name, ".lock") {
			b.Write(p.s.read(a.Context, name))
			b.WriteByte('\n')
		}
	}
	b.Write(p.s.read(a.Dir, "pyproject.toml"))
	b.WriteByte('\n')
	b.Write(p.s.read(a.Dir, "setup.py"))
	p.needs = b.String()
}

// findVersion finds the version of Python.
func (p *python) findVersion(a *App) {
	for _, want := range p.versions(a) {
		if r, ok := choose(pythonReleases(), pythonRange(want.value)); ok && want.value != "" {
			p.released, a.Version = r, r.name
			a.say(path.Join(a.Dir, want.file), "Python %s (%s)", r.name, want.value)
			return
		}
	}
	p.released = pythonReleases()[0]
	a.Version = p.released.name
	a.say("", "Python %s: no version is asked for", a.Version)
}

// A versionIn is the version of Python that a file asks for, or "".
type versionIn struct{ file, value string }

// versions returns the versions that files of the app ask for, the most binding first.
func (p *python) versions(a *App) []versionIn {
	poetry, _ := p.pkg.Tool.Poetry.Dependencies["python"].(string)
	var pipfile struct {
		Requires struct {
			Version string `toml:"python_version"`
			Full    string `toml:"python_full_version"`
		}
	}
	_ = toml.Unmarshal(p.s.read(a.Dir, "Pipfile"), &pipfile) // one that does not parse is ignored
	first := func(file string) string {
		line, _, _ := strings.Cut(strings.TrimSpace(string(p.s.read(a.Dir, file))), "\n")
		return strings.TrimPrefix(strings.TrimSpace(line), "python-")
	}
	return []versionIn{
		{".python-version", first(".python-version")}, {"runtime.txt", first("runtime.txt")},
		{"Pipfile", cmp.Or(pipfile.Requires.Full, pipfile.Requires.Version)},
		{"pyproject.toml", p.pkg.Project.Requires}, {"pyproject.toml", poetry},
	}
}

// findNative finds the requirements that an install compiles, and the libraries that these need.
func (p *python) findNative(a *App) {
	for _, n := range natives() {
		if requires(p.needs, n.name) {
			p.compiles = cmp.Or(p.compiles, n.name)
			if n.libraries != "" && !slices.Contains(p.libs, n.libraries) {
				p.libs = append(p.libs, n.libraries)
			}
			a.say(path.Join(a.Context, p.manifest), "%s is compiled: the build has a compiler", n.name)
		}
	}
}

// pythonPort matches the port that a source file listens on, and pythonHealth the path of a health
// check that it serves.
var (
	pythonPort   = regexp.MustCompile(`\bport\s*=\s*(\d{4,5})|PORT["'],\s*["']?(\d{2,5})|--port[= ](\d{4,5})|\(["'][0-9.]*["'],\s*(\d{4,5})\)`)
	pythonHealth = regexp.MustCompile(`["'](/?(?:api/)?(?:healthz?|livez|readyz|health-?check|ping)/?)["']`)
)

// findPort finds the port that the app listens on, and the path of its health check. The port of a
// server is set by its command; that of a script has to be found in the sources.
func (p *python) findPort(a *App) {
	stop := func(dir string) bool { return pythonDir(p.s, dir) && dir != a.Dir }
	r := p.s.search(a.Dir, []string{".py"}, stop, pythonPort, pythonHealth)
	if p.kind != "script" {
		a.Port = 8000
	}
	if r[0].path != "" && p.kind == "script" {
		a.Port, _ = strconv.Atoi(cmp.Or(r[0].groups...))
		a.say(r[0].path, "port %d", a.Port)
	}
	if r[1].path != "" {
		a.Health = "/" + strings.TrimPrefix(r[1].groups[0], "/")
		a.say(r[1].path, "health at %s", a.Health)
	}
}

// started implements maker: entry is a module, MODULE:OBJECT or a file.
func (p *python) started(a *App, entry string) error {
	if strings.Contains(entry, ":") {
		if p.kind == "script" {
			p.kind, p.server = "wsgi", "gunicorn"
			p.brought = !requires(p.needs, "gunicorn")
		}
		a.Entry = entry
		if a.Port == 0 {
			a.Port = 8000 // as in findPort
		}
		return nil
	}
	if p.kind == "django" {
		return fmt.Errorf("the entry of a Django app is MODULE:OBJECT, as in shop.wsgi:application, and not %s", entry)
	}
	a.Entry, p.kind, p.server, p.module = path.Clean(entry), "script", "", ""
	if !strings.HasSuffix(entry, ".py") {
		p.module = entry
	}
	return nil
}
