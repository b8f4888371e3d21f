package scaffold

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// nextOutput and viteOutput match settings in the files of Next.js and Vite. nodeScript matches a
// script of package.json that only runs a program with Node or bun, and the words of that program.
var (
	nextOutput = regexp.MustCompile(`output\s*:\s*["'` + "`" + `](standalone|export)["'` + "`" + `]`)
	viteOutput = regexp.MustCompile(`outDir\s*:\s*["'` + "`" + `]([A-Za-z0-9._/-]+)["'` + "`" + `]`)
	nodeScript = regexp.MustCompile(`^(?:[A-Z_]+=[A-Za-z0-9_./-]+ |cross-env )*(?:node|tsx|ts-node|bun run|bun)((?: [A-Za-z0-9._@/=-]+)+)$`)
)

// findEntry finds what the app starts, which may stay unknown; false for a package that is not
// meant to be started.
func (n *node) findEntry(a *App) bool {
	file := path.Join(a.Dir, "package.json")
	n.build = n.pkg.Scripts["build"] != ""
	for _, fw := range frameworks() {
		if !n.pkg.uses(fw.needs) || fw.entry == "" && (fw.name == "Vite" && !n.s.has(a.Dir, "index.html") || n.serves()) {
			continue
		}
		n.fw, n.static = fw, fw.entry == ""
		a.say(file, "%s", fw.name)
		a.Entry = fw.entry
		n.configured(a)
		if n.static {
			a.Entry = n.fw.output // what is served
		} else if fw.needs == "@nestjs/core" {
			n.scripted(a, file)
		}
		return true
	}
	if n.scripted(a, file) || n.conventional(a, file) {
		return true
	}
	// The user may name an entry, unless the package seems to be a library.
	return a.Dir == a.Context && len(n.pkg.Workspaces) == 0 && !n.s.has(a.Dir, "pnpm-workspace.yaml") && (n.serves() || n.pkg.Scripts["start"] != "")
}

// serves reports whether the app starts a server that is among its dependencies.
func (n *node) serves() bool { return slices.ContainsFunc(servers(), n.pkg.uses) && n.starts() != "" }

// starts returns the name of the script that starts the app in production; "" if there is none
// that only runs node.
func (n *node) starts() string {
	for _, name := range []string{"start:prod", "start:production", "start"} {
		if s := n.pkg.Scripts[name]; s != "" && nodeScript.MatchString(s) {
			return name
		}
	}
	return ""
}

// configured sets what the configuration file of Next.js or Vite says.
func (n *node) configured(a *App) {
	for _, name := range n.s.matching(a.Dir, "next.config.*", "vite.config.*") {
		config := string(n.s.read(a.Dir, name))
		if m := nextOutput.FindStringSubmatch(config); m != nil && n.fw.needs == "next" {
			a.say(path.Join(a.Dir, name), "output: %s", m[1])
			if m[1] == "export" {
				n.fw.output, n.fw.entry, n.static = "out", "", true
				return
			}
			n.alone = true
			a.Entry = path.Join(".next/standalone", a.inContext("server.js"))
		}
		if m := viteOutput.FindStringSubmatch(config); m != nil && n.fw.needs == "vite" && !strings.HasPrefix(m[1], ".") {
			n.fw.output = strings.TrimSuffix(m[1], "/")
			a.say(path.Join(a.Dir, name), "written to %s", n.fw.output)
		}
	}
}

// scripted sets the entry from the script that starts the app; false if there is none.
func (n *node) scripted(a *App, file string) bool {
	script := n.starts()
	if script == "" {
		return false
	}
	words := strings.Fields(nodeScript.FindStringSubmatch(n.pkg.Scripts[script])[1])
	entry := words[len(words)-1]
	for _, w := range words {
		if !strings.HasPrefix(w, "-") {
			entry = w
			break
		}
	}
	entry = path.Clean(entry)
	if strings.HasPrefix(entry, "..") || strings.HasPrefix(entry, "/") || strings.HasPrefix(entry, "-") {
		return false
	}
	a.Entry = entry
	a.say(file, "starts %s (%s)", entry, script)
	return true
}

// conventional sets the entry to the field main of package.json, or to a file with a name that is
// usual for an entry; false if there is none.
func (n *node) conventional(a *App, file string) bool {
	if n.pkg.Main != "" && plain.MatchString(n.pkg.Main) && (slices.ContainsFunc(servers(), n.pkg.uses) || n.pkg.Scripts["start"] != "") {
		a.Entry = path.Clean(n.pkg.Main)
		a.say(file, "starts %s (main)", a.Entry)
		return true
	}
	names := []string{"server.js", "server.mjs", "index.js", "app.js", "src/server.js", "src/index.js", "src/app.js"}
	if n.tool.name == "bun" {
		names = append(names, "src/index.ts", "src/server.ts", "index.ts", "server.ts")
	}
	name := n.s.first(a.Dir, names...)
	if name == "" || n.pkg.Scripts["start"] == "" && !slices.ContainsFunc(servers(), n.pkg.uses) && !strings.Contains(name, "server") {
		return false
	}
	a.Entry = name
	a.say(path.Join(a.Dir, name), "starts it, by its name")
	return true
}

// assets returns usual names of folders that apps read at run time.
func assets() []string {
	return []string{"public", "static", "assets", "views", "templates", "locales", "i18n", "migrations", "drizzle", "config", "proto"}
}

// findOutputs finds what the image needs besides the dependencies. If that is not known, it needs
// all files.
func (n *node) findOutputs(a *App) {
	if !n.build || a.Entry == "" {
		return
	}
	out, _, _ := strings.Cut(a.Entry, "/")
	if n.fw.output != "" {
		out = n.fw.output
	}
	if n.fw.output == "" && (out == "src" || !strings.Contains(a.Entry, "/")) {
		return // the build makes something else: the image gets all files
	}
	n.outputs = []string{out}
	n.made = append(n.made, a.inContext(out))
	if n.fw.alone || n.static {
		return
	}
	for _, dir := range assets() {
		if dir != out && n.s.isDir(a.Dir, dir) {
			n.outputs = append(n.outputs, dir)
		}
	}
	if n.fw.output == ".next" {
		n.outputs = append(n.outputs, n.s.matching(a.Dir, "next.config.*")...)
	}
}

// findHooks finds the scripts of the project that an install runs, the files that they read, and
// whether an install compiles.
func (n *node) findHooks(a *App) {
	m, _ := readManifest(n.s, a.Context)
	for _, name := range []string{"preinstall", "install", "postinstall", "prepare"} {
		if script := m.Scripts[name]; script != "" {
			n.hooks = append(n.hooks, name)
			n.addHook(a, name, script)
		}
	}
	if n.pkg.uses("@prisma/client") || m.uses("@prisma/client") {
		n.hooks = append(n.hooks, "prisma")
		n.copied = append(n.copied, n.present(a, "prisma")...)
	}
	lock := string(n.s.read(a.Context, n.lock))
	for _, name := range compilers() {
		// In the notations of npm, yarn and pnpm.
		notations := []string{`node_modules/` + name + `"`, "\n" + name + "@", "\n  " + name + "@", `"` + name + `@`}
		if slices.ContainsFunc(notations, func(as string) bool { return strings.Contains(lock, as) }) {
			n.compiles = name
			a.say(path.Join(a.Context, n.lock), "an install may compile (%s): the build has a compiler", name)
			return
		}
	}
}

// addHook adds the files that a script reads which an install runs. If they are not known, all
// sources have to be there before the install.
func (n *node) addHook(a *App, name, script string) {
	file := path.Join(a.Context, "package.json")
	switch tool, _, _ := strings.Cut(script, " "); {
	case tool == "husky" || tool == "lefthook" || tool == "simple-git-hooks" || tool == "is-ci":
		a.say(file, "%s sets up git hooks, for which there is no git in the image", name)
	case tool == "patch-package":
		n.copied = append(n.copied, n.present(a, "patches")...)
		a.say(file, "%s applies patches", name)
	case strings.HasPrefix(script, "prisma generate") || strings.HasPrefix(script, "npx prisma generate"):
		a.say(file, "%s generates prisma's client", name)
	default:
		n.early = true
		a.say(file, "%s runs in the install and may read any file, so the sources are copied before it", name)
	}
}

// present returns those of the names that are in the context.
func (n *node) present(a *App, names ...string) []string {
	var list []string
	for _, name := range names {
		if n.s.has(a.Context, name) {
			list = append(list, name)
		}
	}
	return list
}

// asked matches a variable that settings of a package manager refer to, and authToken a setting
// that contains a token or password itself.
var (
	asked     = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)[-:}]`)
	authToken = regexp.MustCompile(`(?m)(_authToken|_password|_auth)\s*=\s*[^$\s]|npm(AuthToken|AuthIdent):\s*["']?[^$\s"']`)
)

// findManifests finds the files that an install reads, and the secrets that it needs.
func (n *node) findManifests(a *App, members []member) {
	n.copied = append(n.copied, "package.json")
	if n.lock != "" {
		n.copied = append(n.copied, n.lock)
	}
	for _, name := range n.present(a, n.tool.also...) {
		text := n.s.read(a.Context, name)
		if authToken.Match(text) {
			n.tokens = append(n.tokens, name)
			a.say(path.Join(a.Context, name), "holds a token: it is mounted as a secret, and not sent")
			continue
		}
		n.copied = append(n.copied, name)
		if name == ".npmrc" || name == ".yarnrc.yml" {
			for _, m := range asked.FindAllSubmatch(text, -1) {
				if v := string(m[1]); v != "HOME" && !slices.Contains(n.secrets, v) {
					n.secrets = append(n.secrets, v)
					a.say(path.Join(a.Context, name), "asks for %s: handed to the install as a secret", v)
				}
			}
		}
	}
	if a.Dir == a.Context || len(members) == 0 {
		return
	}
	a.say(path.Join(a.Context, n.s.first(a.Context, "pnpm-workspace.yaml", "package.json")), "%s is a workspace of %s", a.Dir, a.contextName())
	n.findMembers(a, members)
}
