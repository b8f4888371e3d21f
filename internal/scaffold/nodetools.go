package scaffold

import (
	"fmt"
	"strings"

	"github.com/stokerd/stoker/internal/effects"
)

// A nodeTool is a package manager of Node.js: its files, and its commands as formats for
// nodefile.go.
type nodeTool struct {
	name  string
	locks []string // its lock files
	also  []string // files and folders that an install reads besides package.json and the lock file
	setup string   // installs the tool, of version %s; "" if images have it
	// install installs all dependencies of the lock file, and production only those that
	// are needed at run time.
	install, production string
	// member installs what the member %[2]s of a workspace, in the folder %[1]s, needs at run
	// time; "" if the tool cannot.
	member string
	prune  string // removes what only the build needs; "" if the tool cannot
	// script runs the script %s of package.json, and in the script %[1]s of the member %[2]s.
	script, in string
	exec       string // runs the program %s of a package
	cache      *effects.Cache
	unlocked   string // installs all dependencies without a lock file
}

// nodeTools returns the package managers. Which one an app uses is decided by its lock file.
func nodeTools() []nodeTool {
	return []nodeTool{
		{
			name: "npm", locks: []string{"package-lock.json", "npm-shrinkwrap.json"}, also: []string{".npmrc"},
			install: "npm ci", production: "npm ci --omit=dev", member: "npm ci --omit=dev --workspace=%[1]s", prune: "npm prune --omit=dev",
			script: "npm run %s", in: "npm run %[1]s --workspace=%[2]s", exec: "npx --no-install %s", cache: effects.CacheOf("npm"), unlocked: "npm install",
		},
		{
			name: "pnpm", locks: []string{"pnpm-lock.yaml"}, also: []string{".npmrc", "pnpm-workspace.yaml", ".pnpmfile.cjs"},
			setup:   "npm install --global pnpm@%s",
			install: "pnpm install --frozen-lockfile", production: "pnpm install --frozen-lockfile --prod", member: "pnpm install --frozen-lockfile --prod --filter '%[2]s...'",
			prune: "pnpm prune --prod", script: "pnpm run %s", in: "pnpm --filter %[2]s run %[1]s", exec: "pnpm exec %s",
			cache: effects.CacheOf("pnpm"), unlocked: "pnpm install",
		},
		{
			name: "yarn", locks: []string{"yarn.lock"}, also: []string{".npmrc", ".yarnrc"},
			install: "yarn install --frozen-lockfile", production: "yarn install --frozen-lockfile --production",
			prune: "yarn install --frozen-lockfile --production --ignore-scripts --prefer-offline", script: "yarn run %s", in: "yarn workspace %[2]s run %[1]s", exec: "yarn run %s",
			cache: effects.CacheOf("yarn"), unlocked: "yarn install",
		},
		{
			name: "bun", locks: []string{"bun.lock", "bun.lockb"}, also: []string{".npmrc", "bunfig.toml"},
			install: "bun install --frozen-lockfile", production: "bun install --frozen-lockfile --production", member: "bun install --frozen-lockfile --production --filter %[2]s",
			script: "bun run %s", in: "bun run --filter %[2]s %[1]s", exec: "bunx %s", cache: effects.CacheOf("bun"), unlocked: "bun install",
		},
	}
}

// berry returns yarn 2 or later, which has only the name of its lock file in common with classic
// yarn. focus says that it can install the dependencies of one package for production, which
// yarn 4 can, and older ones with a plugin. shipped says that the repository contains yarn.
func berry(focus, shipped bool) nodeTool {
	t := nodeTool{
		name: "yarn", also: []string{".yarnrc.yml", ".npmrc", ".yarn/releases", ".yarn/plugins", ".yarn/patches"},
		setup:   "npm install --global --force @yarnpkg/cli-dist@%s",
		install: "yarn install --immutable", script: "yarn run %s", in: "yarn workspace %[2]s run %[1]s", exec: "yarn run %s",
		cache: effects.CacheOf("yarn berry"), unlocked: "yarn install",
	}
	if shipped {
		t.setup = "" // the yarn of the image runs the one in .yarn/releases
	}
	if focus {
		t.production, t.member, t.prune = "yarn workspaces focus --production", "yarn workspaces focus %[2]s --production", "yarn workspaces focus --production"
	}
	return t
}

// pnpmFor returns the major version of pnpm that writes such a lock file.
// https://github.com/pnpm/spec/tree/master/lockfile
func pnpmFor(lock string) string {
	for line := range strings.Lines(lock) {
		if v, ok := strings.CutPrefix(line, "lockfileVersion:"); ok {
			switch v = strings.Trim(strings.TrimSpace(v), `'"`); {
			case strings.HasPrefix(v, "9"):
				return "10"
			case strings.HasPrefix(v, "6"):
				return "8"
			case strings.HasPrefix(v, "5"):
				return "7"
			}
			break
		}
	}
	return "10"
}

// workspaceScript returns the command that runs a script of a workspace's member.
func (t nodeTool) workspaceScript(script, name string) string { return fmt.Sprintf(t.in, script, name) }

// compilers returns packages that are in a lock file if an install may compile C or C++.
func compilers() []string {
	return []string{"node-gyp", "node-addon-api", "nan", "node-pre-gyp", "@mapbox/node-pre-gyp", "prebuild-install", "node-gyp-build"}
}

// A framework decides how an app in Node.js is built and started.
type framework struct {
	name, needs string   // needs is the package that apps of the framework depend on
	output      string   // the folder that a build fills
	entry       string   // the file that node starts; "" if a web server serves the output
	alone       bool     // the output includes the dependencies
	port        int      // that it listens on by default
	env         []string // NAME=value, with which it listens on all addresses
	pages       bool     // a build writes variables of .env files into pages
}

// frameworks returns the known frameworks. An app is of the first one that it depends on.
func frameworks() []framework {
	return []framework{
		{name: "Next.js", needs: "next", output: ".next", entry: "node_modules/next/dist/bin/next", port: 3000, env: []string{"HOSTNAME=0.0.0.0"}, pages: true},
		{name: "Nuxt", needs: "nuxt", output: ".output", entry: ".output/server/index.mjs", alone: true, port: 3000, env: []string{"HOST=0.0.0.0"}, pages: true},
		{name: "NestJS", needs: "@nestjs/core", output: "dist", entry: "dist/main.js", port: 3000},
		{name: "SvelteKit", needs: "@sveltejs/adapter-node", output: "build", entry: "build/index.js", port: 3000, pages: true},
		{name: "Remix", needs: "@remix-run/serve", output: "build", entry: "node_modules/@remix-run/serve/dist/cli.js", port: 3000, pages: true},
		{name: "React Router", needs: "@react-router/serve", output: "build", entry: "node_modules/@react-router/serve/bin.cjs", port: 3000, pages: true},
		{name: "Astro", needs: "@astrojs/node", output: "dist", entry: "dist/server/entry.mjs", port: 4321, env: []string{"HOST=0.0.0.0"}, pages: true},
		{name: "Astro", needs: "astro", output: "dist", pages: true},
		{name: "Create React App", needs: "react-scripts", output: "build", pages: true},
		{name: "Vue CLI", needs: "@vue/cli-service", output: "dist", pages: true},
		{name: "Docusaurus", needs: "@docusaurus/core", output: "build"},
		{name: "Gatsby", needs: "gatsby", output: "public", pages: true},
		{name: "Vite", needs: "vite", output: "dist", pages: true},
	}
}

// servers returns packages with which an app is a server, but which do not decide how it is built.
func servers() []string {
	return []string{"express", "fastify", "koa", "hono", "@hapi/hapi", "restify", "polka", "h3", "elysia", "@feathersjs/feathers", "socket.io", "ws", "apollo-server", "@apollo/server"}
}
