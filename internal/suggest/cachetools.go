package suggest

import (
	"path"
	"slices"
)

// A cachedTool is a package manager with the folders that it keeps downloads in.
type cachedTool struct {
	name string
	// uses reports a command that fills or reads the cache.
	uses func(c command) bool
	// dirs returns its folders for an image and a home; none if they are not known.
	dirs func(image, home string) []string
	// env are beginnings of variables that would move or disable the cache.
	env []string
	// flags and words of a command that contradict a cache mount.
	against []string
	// needed reports that later commands of the tool read what is in the cache,
	// so that all of them have to mount it.
	needed bool
	shared string // the sharing mode, "" for the default
	// spares is the share of a step's time that a warm cache spares it, about: what
	// goes into downloads, or for a compiler into what did not change.
	spares float64
	// manifest is a file without which the tool downloads nothing; "" for any.
	manifest string
}

// home gives folders below the home of the user.
func home(rel ...string) func(image, home string) []string {
	return func(_, home string) []string {
		var dirs []string
		for _, r := range rel {
			dirs = append(dirs, path.Join(home, r))
		}
		return dirs
	}
}

// of gives folders of one image.
func of(name string, dirs ...string) func(image, home string) []string {
	return func(image, _ string) []string {
		if image == name {
			return dirs
		}
		return nil
	}
}

func cachedTools() []cachedTool { return append(scriptTools(), compiledTools()...) }

// scriptTools are those of languages that are not compiled.
func scriptTools() []cachedTool {
	return []cachedTool{
		{name: "npm", spares: 0.4, uses: func(c command) bool { return verb("npm", "ci", "install", "i")(c) && !global(c) }, dirs: home(".npm"), env: []string{"npm_config_", "NPM_CONFIG_"},
			against: []string{"--cache", "cache", "--no-cache"}},
		{name: "yarn", spares: 0.4, uses: func(c command) bool { return c.starts("yarn") && slices.Contains(c.words, "--frozen-lockfile") },
			dirs: func(_, home string) []string {
				if home == "/root" {
					return []string{"/usr/local/share/.cache/yarn"}
				}
				return nil
			}, env: []string{"YARN_"}, against: []string{"--cache-folder", "cache", "--no-cache"}},
		{name: "pnpm", spares: 0.5, uses: verb("pnpm", "install", "i"), dirs: home(".local/share/pnpm/store"), env: []string{"PNPM_", "npm_config_", "NPM_CONFIG_"},
			against: []string{"--store-dir", "store", "--virtual-store-dir"}},
		{name: "bun", spares: 0.6, uses: verb("bun", "install", "i", "ci"), dirs: home(".bun/install/cache"), env: []string{"BUN_"},
			against: []string{"--no-cache", "--cache-dir"}},
		{name: "pip", spares: 0.5, uses: func(c command) bool { _, ok := pipArgs(c); return ok }, dirs: home(".cache/pip"), env: []string{"PIP_"},
			against: []string{"--no-cache-dir", "--cache-dir", "cache"}},
		{name: "uv", spares: 0.7, uses: func(c command) bool { return c.starts("uv", "sync") || c.starts("uv", "pip", "install") }, dirs: home(".cache/uv"),
			env: []string{"UV_CACHE", "UV_NO_CACHE"}, against: []string{"--no-cache", "--cache-dir", "cache", "-n"}},
		// Its virtual environments lie in the cache folder as well and must stay.
		{name: "poetry", spares: 0.4, uses: verb("poetry", "install", "sync"), dirs: home(".cache/pypoetry/cache", ".cache/pypoetry/artifacts"),
			env: []string{"POETRY_CACHE"}, against: []string{"--no-cache", "cache"}},
		{name: "composer", spares: 0.5, uses: verb("composer", "install", "update"), dirs: of("composer", "/tmp/cache"), env: []string{"COMPOSER_"},
			against: []string{"--no-cache", "clear-cache", "clearcache"}},
		{name: "bundler", spares: 0.2, uses: verb("bundle", "install"), dirs: of("ruby", "/usr/local/bundle/cache"), env: []string{"BUNDLE_", "GEM_"},
			against: []string{"clean", "cache", "--path", "--no-cache"}},
	}
}

// compiledTools are those of languages that are.
func compiledTools() []cachedTool {
	return []cachedTool{
		{name: "go build", spares: 0.8, uses: verb("go", "build", "test", "vet", "install"), dirs: home(".cache/go-build"), env: []string{"GOCACHE"},
			against: []string{"clean"}},
		{name: "go modules", spares: 0.3, uses: verb("go", "build", "test", "vet", "install", "mod", "get", "run", "list", "generate"),
			dirs: of("golang", "/go/pkg/mod"), env: []string{"GOPATH", "GOMODCACHE", "GOFLAGS", "GOPROXY"}, against: []string{"clean", "vendor", "-mod=vendor"}, needed: true, manifest: "go.mod"},
		{name: "cargo", spares: 0.2, uses: verb("cargo", "build", "fetch", "install", "test", "check", "chef"),
			dirs: of("rust", "/usr/local/cargo/registry", "/usr/local/cargo/git"), env: []string{"CARGO_HOME"}, against: []string{"vendor", "clean", "--frozen"}, needed: true},
		{name: "maven", spares: 0.5, uses: func(c command) bool { return slices.Contains([]string{"mvn", "mvnw"}, path.Base(c.words[0])) }, dirs: home(".m2/repository"),
			env: []string{"MAVEN_", "HOME"}, against: []string{"dependency:purge-local-repository", "-o"}, needed: true},
		{name: "gradle", spares: 0.4, uses: func(c command) bool { return slices.Contains([]string{"gradle", "gradlew"}, path.Base(c.words[0])) },
			dirs: func(image, home string) []string {
				if image == "gradle" {
					home = "/home/gradle"
				}
				return []string{home + "/.gradle"}
			}, env: []string{"GRADLE_USER_HOME"}, against: []string{"-g", "--gradle-user-home"}, needed: true, shared: "locked"},
		{name: "nuget", spares: 0.4, uses: verb("dotnet", "restore", "build", "publish", "test", "run", "pack", "tool"), dirs: home(".nuget/packages"),
			env: []string{"NUGET_PACKAGES"}, against: []string{"nuget", "--packages", "--no-restore"}, needed: true},
	}
}

// verb recognises `tool VERB`, with flags between.
func verb(tool string, verbs ...string) func(command) bool {
	return func(c command) bool {
		if len(c.words) == 0 || c.words[0] != tool {
			return false
		}
		_, rest := c.args(1)
		return len(rest) > 0 && slices.Contains(verbs, rest[0])
	}
}
