package scaffold

import (
	"fmt"
	"strings"

	"github.com/stokerd/stoker/internal/effects"
)

// A nodeTool is a package manager of Node's: data for nodefile.go.
type nodeTool struct {
	name  string
	locks []string // by which it is known
	// also are files and folders that an install reads beside package.json and the lock.
	also []string
	// setup puts it into an image that does not bring it; %s is its version.
	setup string
	// install and production install from the lock file, all and what runs.
	install, production string
	// member installs what one workspace needs to run; %[1]s is its folder, %[2]s its
	// name. Empty where the tool can only do all of them.
	member string
	prune  string // drops what only the build needed; "" where the tool cannot
	// script runs one of package.json's; %s is its name. In is the same in a workspace.
	script, in string
	exec       string // runs a program of a package
	cache      *effects.Cache
	unlocked   string // installs without a lock file
}

// nodeTools returns every package manager, the one of a lock file each.
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

// berry is yarn 2 and later, which shares nothing with classic yarn but the name of
// its lock file. focus says that it can install one package's dependencies for
// production: yarn 4 by itself, older ones with a plugin.
func berry(focus, shipped bool) nodeTool {
	t := nodeTool{
		name: "yarn", also: []string{".yarnrc.yml", ".npmrc", ".yarn/releases", ".yarn/plugins", ".yarn/patches"},
		setup:   "npm install --global --force @yarnpkg/cli-dist@%s",
		install: "yarn install --immutable", script: "yarn run %s", in: "yarn workspace %[2]s run %[1]s", exec: "yarn run %s",
		cache: effects.CacheOf("yarn berry"), unlocked: "yarn install",
	}
	if shipped {
		t.setup = "" // .yarn/releases has it, and the yarn of the image hands over to that
	}
	if focus {
		t.production, t.member, t.prune = "yarn workspaces focus --production", "yarn workspaces focus %[2]s --production", "yarn workspaces focus --production"
	}
	return t
}

// pnpmFor returns the line of pnpm that writes a lock file of this version.
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

// workspaceScript is the command that runs a script of a workspace.
func (t nodeTool) workspaceScript(script, name string) string { return fmt.Sprintf(t.in, script, name) }

// compilers are packages whose presence in a lock file says that an install may
// compile C or C++.
func compilers() []string {
	return []string{"node-gyp", "node-addon-api", "nan", "node-pre-gyp", "@mapbox/node-pre-gyp", "prebuild-install", "node-gyp-build"}
}

// A framework is what decides how an app of Node's is built and started.
type framework struct {
	name, needs string // needs is the package by which it is known
	output      string // the folder that its build fills
	entry       string // started with node; "" for what a web server serves
	alone       bool   // the output has its dependencies inside
	port        int
	env         []string // that makes it listen outside of the container, and quiet
	pages       bool     // its build writes variables of .env files into pages
}

// frameworks returns those that are known, the more special first. An output that a
// web server serves has no entry.
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

// servers are packages that make a server of a program without a framework that
// decides how it is built.
func servers() []string {
	return []string{"express", "fastify", "koa", "hono", "@hapi/hapi", "restify", "polka", "h3", "elysia", "@feathersjs/feathers", "socket.io", "ws", "apollo-server", "@apollo/server"}
}
