package scaffold

import (
	"cmp"
	"encoding/json"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A manifest is the part of a package.json that is used.
type manifest struct {
	Name, Description, Main, PackageManager string
	License, Repository, Workspaces         json.RawMessage
	Scripts                                 map[string]string
	Engines                                 map[string]string
	Volta                                   map[string]string
	Dependencies                            map[string]string
	DevDependencies                         map[string]string
	OptionalDependencies                    map[string]string
}

// node is the maker of an app in Node.js. Paths are relative to the context, unless it says
// otherwise.
type node struct {
	s        *survey
	pkg      manifest // of the app
	tool     nodeTool
	version  string    // of the tool; "" for the one in the image
	lock     string    // the lock file; "" if there is none
	fw       framework // zero for none
	build    bool      // something has a build script
	copied   []string  // manifests and other files that an install reads
	parents  []string  // manifests of workspaces, with wildcards
	members  []member  // of the workspace, that the app needs, in the order in which to build them
	secrets  []string  // environment variables that .npmrc refers to
	hooks    []string  // scripts of the project that an install runs
	early    bool      // one of the hooks may read any source file
	compiles string    // the package because of which an install may compile; "" if none does
	outputs  []string  // what the image needs besides dependencies, relative to the app's folder
	made     []string  // folders that builds fill
	alone    bool      // Next.js with standalone output
	static   bool      // the build makes pages that a web server serves
	tokens   []string  // settings of the package manager that contain a token
	released release   // of Node or bun
}

// A member is a member of a workspace.
type member struct {
	dir, name string // relative to the root, later to the context; of its package.json
	build     bool   // it has a build script
}

// readManifest reads the package.json in a folder; false if there is none that parses.
func readManifest(s *survey, dir string) (manifest, bool) {
	var m manifest
	text := s.read(dir, "package.json")
	if text == nil || json.Unmarshal(text, &m) != nil {
		return m, false
	}
	return m, true
}

// uses reports whether the package has a dependency of any kind.
func (m manifest) uses(name string) bool {
	return m.Dependencies[name] != "" || m.DevDependencies[name] != "" || m.OptionalDependencies[name] != ""
}

// nodeApps finds the apps in Node.js.
func nodeApps(s *survey) []App {
	var apps []App
	spaces := workspaceRoots(s)
	for _, dir := range s.dirs {
		m, ok := readManifest(s, dir)
		if !ok {
			continue
		}
		root := outermost(spaces, dir)
		n := &node{s: s, pkg: m}
		a := App{Dir: dir, Context: root, Language: Node, Name: m.appName(s.folderName(dir)), Health: "/", maker: n}
		if n.detect(&a, spaces[root]) {
			apps = append(apps, a)
		}
	}
	return apps
}

// outermost returns the highest folder with a workspace that the folder dir is a member of, or dir
// if there is none.
func outermost(spaces map[string][]member, dir string) string {
	root := dir
	for at, members := range spaces {
		isMember := slices.ContainsFunc(members, func(w member) bool { return w.dir == dir })
		if isMember && at != dir && len(at) < len(root) {
			root = at
		}
	}
	return root
}

// appName returns the name of the package, without its scope, or else that of its folder, as a
// plain word.
func (m manifest) appName(folder string) string {
	own := m.Name[strings.LastIndex(m.Name, "/")+1:]
	return word(cmp.Or(strings.TrimPrefix(own, "@"), folder))
}

// folderName returns the name of a folder, which may be the root.
func (s *survey) folderName(dir string) string {
	if dir == "." {
		return s.name
	}
	return path.Base(dir)
}

// detect sets what is known about the app; false for a package that starts nothing.
func (n *node) detect(a *App, members []member) bool {
	n.findTool(a)
	if !n.findEntry(a) {
		return false
	}
	n.findVersion(a)
	n.findManifests(a, members)
	n.findHooks(a)
	n.findPort(a)
	n.findOutputs(a)
	a.Tool, a.Framework = n.tool.name, n.fw.name
	a.labels = labels{title: cmp.Or(n.pkg.Name, a.Name), description: n.pkg.Description, licenses: text(n.pkg.License), source: address(n.pkg.Repository)}
	return true
}

// text decodes a JSON string; "" for anything else.
func text(raw json.RawMessage) string {
	var s string
	_ = json.Unmarshal(raw, &s) // not a string: none
	return s
}

// address returns the URL in the field repository of package.json; "" if it has none that can be
// published.
func address(raw json.RawMessage) string {
	var r struct{ URL string }
	_ = json.Unmarshal(raw, &r) // a string, or nothing
	url := strings.TrimSuffix(strings.TrimPrefix(cmp.Or(text(raw), r.URL), "git+"), ".git")
	if strings.HasPrefix(url, "https://") && !strings.ContainsAny(url, "@ ") {
		return url
	}
	return "" // it may contain a user name and a password
}

// findTool finds the package manager and its version, by the lock file and the field
// packageManager.
func (n *node) findTool(a *App) {
	name, version, file := n.packageManager(a)
	for _, t := range nodeTools() {
		if n.lock = n.s.first(a.Context, t.locks...); n.lock != "" && (name == "" || name == t.name) {
			n.tool = t
			a.say(path.Join(a.Context, n.lock), "%s", t.name)
			break
		}
		n.lock = ""
	}
	if n.lock == "" {
		n.tool = nodeTools()[0]
		for _, t := range nodeTools() {
			if t.name == name {
				n.tool = t
			}
		}
		a.say("", "no lock file: each build may get other versions")
	}
	if version != "" {
		a.say(file, "%s %s (packageManager)", name, version)
	}
	n.version = version
	switch n.tool.name {
	case "pnpm":
		n.version = cmp.Or(version, pnpmFor(string(n.s.read(a.Context, n.lock))))
	case "yarn":
		if n.s.has(a.Context, ".yarnrc.yml") || version != "" && major(version) != "1" {
			n.version = cmp.Or(version, "4")
			n.tool = n.berry(a)
			a.say(file, "yarn %s, with node_modules in the image", major(n.version))
		}
	}
}

// packageManager returns the name and version of the package manager in the package.json of the app
// or, if that says nothing, of its context, and which of the two files that is. A version that
// cannot be written to a Dockerfile is left out.
func (n *node) packageManager(a *App) (name, version, file string) {
	name, version, _ = strings.Cut(n.pkg.PackageManager, "@")
	file = path.Join(a.Dir, "package.json")
	if name == "" && a.Context != a.Dir {
		if root, ok := readManifest(n.s, a.Context); ok {
			name, version, _ = strings.Cut(root.PackageManager, "@")
			file = path.Join(a.Context, "package.json")
		}
	}
	version, _, _ = strings.Cut(version, "+") // a digest follows
	if !plain.MatchString(version) {
		version = ""
	}
	return name, version, file
}

// berry returns the tool for n.version, of yarn 2 or later.
func (n *node) berry(a *App) nodeTool {
	plugin := n.s.has(a.Context, ".yarn/plugins/@yarnpkg/plugin-workspace-tools.cjs")
	shipped := strings.Contains(string(n.s.read(a.Context, ".yarnrc.yml")), "yarnPath:")
	t := berry(major(n.version) >= "4" || plugin, shipped)
	t.locks = n.tool.locks
	return t
}

// findVersion finds the version of Node, or of bun.
func (n *node) findVersion(a *App) {
	if n.tool.name == "bun" {
		n.findBun(a)
		return
	}
	list := nodeReleases()
	try := func(dir, file, value string) bool {
		r, ok := choose(list, value)
		if ok {
			n.released, a.Version = r, r.name
			a.say(path.Join(dir, file), "Node %s (%s)", r.name, strings.TrimSpace(value))
		}
		return ok
	}
	for _, dir := range slices.Compact([]string{a.Dir, a.Context}) {
		for _, file := range []string{".nvmrc", ".node-version"} {
			line, _, _ := strings.Cut(strings.TrimSpace(string(n.s.read(dir, file))), "\n")
			if line != "" && try(dir, file, strings.TrimPrefix(line, "v")) {
				return
			}
		}
		m, _ := readManifest(n.s, dir)
		if v := cmp.Or(m.Volta["node"], m.Engines["node"]); v != "" && try(dir, "package.json", v) {
			return
		}
	}
	n.released = list[0]
	a.Version = list[0].name
	a.say("", "Node %s: no version is asked for, this is a long-term one", a.Version)
}

// findBun finds the version of bun.
func (n *node) findBun(a *App) {
	a.Version = cmp.Or(n.version, "1.3")
	if v := strings.TrimSpace(string(n.s.read(a.Context, ".bun-version"))); plain.MatchString(v) {
		a.Version = v
		a.say(path.Join(a.Context, ".bun-version"), "bun %s", v)
	}
	n.released = release{name: a.Version}
}

// findPort finds the port that the app listens on, and the path of its health check.
func (n *node) findPort(a *App) {
	if n.static {
		a.Port = 8080
		return
	}
	endings := []string{".js", ".mjs", ".cjs", ".ts", ".mts", ".tsx"}
	own := func(dir string) bool { return n.s.has(dir, "package.json") }
	r := n.s.search(a.Dir, endings, own, nodePort, nodeHealth)
	port := n.fw.port
	if r[0].path != "" {
		found, _ := strconv.Atoi(cmp.Or(r[0].groups...))
		if found > 0 && found < 1<<16 {
			port = found
			a.say(r[0].path, "port %d", port)
		}
	}
	if port == 0 {
		if i := slices.IndexFunc(servers(), n.pkg.uses); i >= 0 {
			port = 3000
			a.say(path.Join(a.Dir, "package.json"), "a server (%s), port 3000 by custom", servers()[i])
		}
	}
	a.Port = port
	if r[1].path != "" && n.fw.output != ".next" {
		a.Health = r[1].groups[0]
		a.say(r[1].path, "health at %s", a.Health)
	}
}

// nodePort matches the port that a source file listens on, and nodeHealth the path of a health
// check that it serves.
var (
	nodePort   = regexp.MustCompile(`PORT["']?\]?\s*(?:\|\||\?\?)\s*["']?(\d{2,5})|\.listen\(\s*(\d{2,5})|\bport:\s*(\d{4,5})`)
	nodeHealth = regexp.MustCompile(`["'` + "`" + `](/(?:api/)?(?:healthz?|livez|readyz|health-?check|_health|ping)(?:/(?:live|liveness|ready))?)["'` + "`" + `]`)
)

// started implements maker: entry is a file.
func (n *node) started(a *App, entry string) error {
	if n.static {
		return fmt.Errorf("%s builds pages that a web server serves: there is no entry to name", cmp.Or(a.Framework, "the app"))
	}
	a.Entry = path.Clean(entry)
	return nil
}
