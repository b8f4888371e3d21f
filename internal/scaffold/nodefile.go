package scaffold

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/stokerd/stoker/internal/effects"
)

// bases implements maker: pages need a web server, and other apps node.
func (n *node) bases(*App) ([]Base, map[Base]string) {
	switch {
	case n.static:
		why := "pages need a web server, and only nginx's alpine image is small"
		return []Base{Alpine}, map[Base]string{Slim: why, Distroless: "it has no web server", Scratch: "it has no web server"}
	case n.tool.name == "bun":
		return []Base{Slim, Alpine}, map[Base]string{
			Distroless: "bun's distroless image has no user to run as that is known here", Scratch: "bun needs a C library",
		}
	}
	why := map[Base]string{Scratch: "node is linked to a C library, and scratch has none"}
	can := []Base{Slim, Alpine}
	if slices.Contains([]string{"20", "22", "24"}, n.released.name) {
		can = append(can, Distroless)
	} else {
		why[Distroless] = "there is no distroless image of Node " + n.released.name
	}
	return can, why
}

// image returns the image of Node or bun for a base. full asks for the one with a compiler, which
// only Node on Debian has.
func (n *node) image(base Base, full bool) string {
	switch {
	case n.tool.name == "bun" && base == Alpine:
		return "oven/bun:" + n.released.name + "-alpine"
	case n.tool.name == "bun":
		return "oven/bun:" + n.released.name + "-slim"
	case base == Alpine:
		return "node:" + n.released.name + "-alpine"
	case full:
		return "node:" + n.released.name + "-" + n.released.debian()
	}
	return "node:" + n.released.name + "-" + n.released.debian() + "-slim"
}

// write implements maker. The stages are base, deps, build, prod-deps and the image itself, some
// of which may be missing.
func (n *node) write(a *App, base Base, d *page, ignore *ignoreList) {
	n.ignore(a, ignore)
	n.writeBase(base, d)
	if n.build || !n.separate() {
		n.writeDeps(d)
	}
	if n.build {
		n.writeBuild(a, d)
	}
	if n.static {
		n.writeStatic(a, d)
		return
	}
	if !n.alone && !n.fw.alone {
		n.writeProduction(d)
	}
	n.writeImage(a, base, d)
}

// writeDeps adds the stage with all dependencies.
func (n *node) writeDeps(d *page) {
	d.from("base", "deps", "All dependencies, installed again only when a manifest changes.")
	if n.early {
		d.note("stoker ignore=manifests-first")
		d.note("The install runs this project's own " + strings.Join(n.hooks, " and ") + ", which may read any file: the sources come first.")
		d.add("COPY . .")
	} else {
		n.copyManifests(d)
	}
	d.run(n.mounts(), n.installs())
}

// writeProduction adds the stage with the dependencies for production: they are installed, or what
// is left of all dependencies without the others. If the tool can do neither, there is no such
// stage.
func (n *node) writeProduction(d *page) {
	switch {
	case n.separate():
		d.from("base", "prod-deps", "What the app needs to run, and nothing that only builds it.")
		n.copyManifests(d)
		commands := []string{n.productionCommand()}
		if !n.hasDependencies() && len(n.members) == 0 {
			d.note("The folder is there even as long as nothing is installed into it.")
			commands = append(commands, "mkdir -p node_modules")
		}
		d.run(n.mounts(), commands...)
	case n.tool.prune != "":
		d.from(n.built(), "prod-deps", "Without what only the build needs. An install for production alone would run this project's "+strings.Join(n.hooks, " and ")+" without it.")
		d.run(n.mounts(), n.tool.prune)
	}
}

// separate reports whether the dependencies for production can be installed without the sources,
// because no script of the project runs in the install.
func (n *node) separate() bool { return len(n.hooks) == 0 && n.tool.production != "" }

// built returns the name of the stage with the app's files.
func (n *node) built() string {
	if n.build {
		return "build"
	}
	return "deps"
}

// writeBase adds the stage that deps, build and prod-deps start from, with the package manager.
func (n *node) writeBase(base Base, d *page) {
	why := "What builds and what runs stand on the same Debian, so that compiled packages find the same C library."
	switch {
	case n.static:
		base, why = Slim, "Only the pages that are made here reach the image."
	case base == Alpine:
		why = "Alpine has another C library (musl), so dependencies are installed on it as well."
	}
	if n.compiles != "" && base != Alpine {
		why += " The full image has the compiler that " + n.compiles + " may ask for; it does not ship."
	}
	d.from(n.image(base, n.compiles != ""), "base", why)
	d.add("WORKDIR /app")
	if n.compiles != "" && base == Alpine {
		d.run(nil, "apk add --no-cache g++ make python3")
	}
	switch n.tool.name {
	case "yarn":
		if strings.Contains(n.tool.install, "--immutable") {
			d.note("Plain node_modules, whatever .yarnrc.yml says: node starts without a loader, and the downloads go to the cache mount.")
			d.env("YARN_NODE_LINKER=node-modules", "YARN_ENABLE_GLOBAL_CACHE=true", "YARN_ENABLE_TELEMETRY=0")
		}
	case "npm":
		d.env("NPM_CONFIG_UPDATE_NOTIFIER=false", "NPM_CONFIG_FUND=false")
	}
	if slices.Contains(n.hooks, "prepare") {
		d.env("HUSKY=0")
	}
	if n.tool.setup != "" {
		d.note("From the registry and not by corepack, which Node 25 and later come without.")
		d.run(mountsOf(effects.CacheOf("npm"), "node"), fmt.Sprintf(n.tool.setup, n.version))
	}
}

// copyManifests copies what an install reads.
func (n *node) copyManifests(d *page) {
	var files, folders []string
	for _, name := range n.copied {
		if strings.HasPrefix(name, ".yarn/") || name == "patches" || name == "prisma" {
			folders = append(folders, name)
		} else {
			files = append(files, name)
		}
	}
	if len(n.parents) > 0 {
		d.note("The manifest of every workspace: the lock file names them all.")
		d.add("COPY --parents " + strings.Join(append(append(files, n.parents...), folders...), " ") + " ./")
		return
	}
	parents := ""
	if len(folders) > 0 {
		parents = "--parents " // keeps the folders of the files
	}
	d.add("COPY " + parents + strings.Join(append(files, folders...), " ") + " ./")
}

// mounts returns the mounts of an install: the cache of downloads, and the secrets that .npmrc
// needs.
func (n *node) mounts() []string {
	list := mountsOf(n.tool.cache, "node")
	for _, v := range n.secrets {
		list = append(list, "type=secret,id="+strings.ReplaceAll(strings.ToLower(v), "_", "-")+",env="+v)
	}
	for _, name := range n.tokens {
		list = append(list, "type=secret,id="+word(name)+",target=/app/"+name)
	}
	return list
}

// installs returns the command that installs all dependencies.
func (n *node) installs() string {
	if n.lock == "" {
		return n.tool.unlocked
	}
	return n.tool.install
}

// productionCommand returns the command that installs the dependencies for production.
func (n *node) productionCommand() string {
	if n.lock == "" {
		return n.tool.unlocked + map[string]string{"npm": " --omit=dev", "pnpm": " --prod"}[n.tool.name]
	}
	if len(n.members) > 0 && n.tool.member != "" {
		own := n.members[len(n.members)-1]
		return strings.NewReplacer("%[1]s", own.dir, "%[2]s", own.name).Replace(n.tool.member)
	}
	return n.tool.production
}

// writeBuild adds the stage that builds the app, after the members of the workspace that it needs.
func (n *node) writeBuild(a *App, d *page) {
	d.from("deps", "build", "")
	if n.fw.output == ".next" {
		d.env("NEXT_TELEMETRY_DISABLED=1")
	}
	if !n.early {
		d.add("COPY . .")
	}
	var commands []string
	if slices.Contains(n.hooks, "prisma") {
		commands = append(commands, fmt.Sprintf(n.tool.exec, "prisma generate"))
	}
	for _, m := range n.members {
		if m.build {
			commands = append(commands, n.tool.workspaceScript("build", m.name))
		}
	}
	if len(n.members) == 0 {
		commands = append(commands, fmt.Sprintf(n.tool.script, "build"))
	}
	var mounts []string
	if n.fw.output == ".next" {
		d.note("Next.js compiles again only what changed since the last build.")
		mounts = []string{"type=cache,id=" + word(a.Name) + "-next,target=" + path.Join("/app", a.inContext(".next/cache")) + ",sharing=locked"}
	}
	d.run(mounts, commands...)
}

// writeImage adds the last stage.
func (n *node) writeImage(a *App, base Base, d *page) {
	tini := n.writeRuntime(base, d)
	user := "1000:1000"
	if base == Distroless {
		user = "65532:65532"
	}
	pairs := []string{"NODE_ENV=production"}
	if a.Port != 0 {
		pairs = append(pairs, "PORT="+strconv.Itoa(a.Port))
	}
	d.env(append(pairs, n.fw.env...)...)
	d.add("WORKDIR /app")
	entry := n.writeFiles(a, user, d)
	check, cmd := "node", []string{"node", entry}
	switch {
	case n.tool.name == "bun":
		check, cmd = "bun", []string{"bun", entry}
	case base == Distroless: // its entrypoint is node
		check, cmd = "/nodejs/bin/node", []string{entry}
	}
	if strings.HasPrefix(entry, "node_modules/next/") {
		cmd = append(cmd, "start")
	} else if strings.HasPrefix(entry, "node_modules/") {
		cmd = append(cmd, "build/server/index.js")
	}
	d.end(a, user, []string{check, "-e", nodeCheck(a)}, tini, cmd)
}

// nodeCheck returns a script for a health check, which needs nothing but node. It requests the
// health path, and succeeds with any status below 500.
func nodeCheck(a *App) string {
	return fmt.Sprintf("fetch('http://127.0.0.1:%d%s').then(r => process.exit(r.status < 500 ? 0 : 1), () => process.exit(1))", a.Port, a.Health)
}

// writeRuntime begins the last stage, and returns the command of its init, which is the entrypoint.
func (n *node) writeRuntime(base Base, d *page) []string {
	switch base {
	case Distroless:
		d.from("gcr.io/distroless/nodejs"+n.released.name+"-"+distroless+":nonroot", "runtime",
			"distroless: node, and neither a shell nor a package manager. Nor an init: as process 1 node does not end on SIGTERM by "+
				"itself, so start it with `docker run --init` (compose: init: true), or handle the signal in the app.")
		d.hint("distroless has no init: start the container with --init (compose: init: true)")
		return nil
	case Alpine:
		d.from(n.image(base, false), "runtime", "alpine: the smallest image with a shell. tini is process 1: it passes signals on and reaps what dies.")
		d.run(nil, "apk add --no-cache tini")
		return []string{"/sbin/tini", "--"}
	}
	d.from(n.image(base, false), "runtime", "slim: Debian without compilers, with the C library that packages with compiled parts are made for. "+
		"tini is process 1: it passes signals on and reaps what dies.")
	d.run(nil, "apt-get update", "apt-get install --yes --no-install-recommends tini", "rm -rf /var/lib/apt/lists/*")
	return []string{"/usr/bin/tini", "--"}
}

// writeFiles copies the files of the app to the image, and returns the path of the entry in there.
func (n *node) writeFiles(a *App, user string, d *page) string {
	from := "COPY --from=build "
	at := path.Join("/app", a.inContext("."))
	switch {
	case n.alone:
		d.note("Next.js traced what it needs. It writes pages that it renders anew below .next, which therefore belongs to the user.")
		d.add("COPY --from=build --chown="+user+" "+path.Join(at, ".next/standalone")+" ./",
			"COPY --from=build --chown="+user+" "+path.Join(at, ".next/static")+" ./"+a.inContext(".next/static"))
		if n.s.isDir(a.Dir, "public") {
			d.add(from + path.Join(at, "public") + " ./" + a.inContext("public"))
		}
		return a.inContext("server.js")
	case n.fw.alone:
		d.note("The build bundled the dependencies.")
		d.add(from + path.Join(at, n.fw.output) + " ./" + n.fw.output)
		return a.Entry
	}
	deps := "COPY --from=prod-deps "
	if !n.separate() && n.tool.prune == "" {
		deps = "COPY --from=deps "
	}
	if len(n.members) > 0 {
		n.writeMembers(a, deps, d)
		return a.Entry
	}
	d.add(deps + "/app/node_modules ./node_modules")
	switch {
	case !n.build:
		d.add("COPY . .")
	case len(n.outputs) == 0:
		d.add("COPY --from=build --exclude=node_modules /app ./")
	default:
		d.add("COPY package.json ./")
		for _, name := range n.outputs {
			chown := ""
			if name == ".next" {
				chown = "--chown=" + user + " "
			}
			d.add(from + chown + path.Join("/app", name) + " ./" + name)
		}
	}
	return a.Entry
}

// hasDependencies reports whether anything is installed for production.
func (n *node) hasDependencies() bool {
	return len(n.pkg.Dependencies)+len(n.pkg.OptionalDependencies) > 0
}

// writeMembers copies the members of the workspace that the app needs: first the node_modules of
// all, then the files of each.
func (n *node) writeMembers(a *App, deps string, d *page) {
	d.note("node_modules of the root and of each workspace, then the files of those that the app needs.")
	d.add(deps + "/app ./")
	for _, m := range n.members {
		if n.build {
			d.add("COPY --from=build --exclude=**/node_modules /app/" + m.dir + " ./" + m.dir)
		} else {
			d.add("COPY " + m.dir + " ./" + m.dir)
		}
	}
	d.add("WORKDIR " + path.Join("/app", a.inContext(".")))
}

// writeStatic adds the last stage, of a web server for the pages.
func (n *node) writeStatic(a *App, d *page) {
	d.from(nginxImage, "runtime", "alpine-slim: nginx and what it needs. As process 1 it stops on the signals that Docker sends, so there is no init.")
	d.note("Addresses that are no file are the app's own: it gets index.html and finds its way. Files whose name holds a digest of their content are kept for a year.")
	d.add("COPY <<'EOF' /etc/nginx/nginx.conf",
		"pid /tmp/nginx.pid;",
		"error_log /dev/stderr;",
		"events {}",
		"http {",
		"  include mime.types;",
		"  default_type application/octet-stream;",
		"  access_log /dev/stdout;",
		"  client_body_temp_path /tmp/body;",
		"  proxy_temp_path /tmp/proxy;",
		"  fastcgi_temp_path /tmp/fastcgi;",
		"  uwsgi_temp_path /tmp/uwsgi;",
		"  scgi_temp_path /tmp/scgi;",
		"  gzip on;",
		"  gzip_types text/css application/javascript application/json image/svg+xml;",
		"  server {",
		"    listen "+strconv.Itoa(a.Port)+";",
		"    root /usr/share/nginx/html;",
		"    location /assets/ { add_header Cache-Control \"public, max-age=31536000, immutable\"; }",
		"    location / { try_files $uri $uri/ /index.html; }",
		"  }",
		"}",
		"EOF")
	d.add("COPY --from=build " + path.Join("/app", a.inContext(n.fw.output)) + " /usr/share/nginx/html")
	check := []string{"wget", "-q", "-O", "/dev/null", fmt.Sprintf("http://127.0.0.1:%d/", a.Port)}
	d.end(a, "101:101", check, []string{"nginx"}, []string{"-g", "daemon off;"})
}
