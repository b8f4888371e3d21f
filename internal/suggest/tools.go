package suggest

import (
	"path"
	"slices"
	"strings"
)

// free lists commands that read nothing of the build context wherever they
// run, and write only to the system's own places: a COPY may move past them.
// A form is the words that a command starts with; a command matches if none of
// its other words names a file of the working directory (see local).
var free = [][]string{
	{"apt-get", "update"}, {"apt-get", "install"}, {"apt-get", "upgrade"}, {"apt-get", "clean"}, {"apt-get", "autoremove"},
	{"apt-get", "-y"}, {"apt-get", "-qq"}, {"apt-get", "-yqq"},
	{"apt", "update"}, {"apt", "install"}, {"apt", "clean"},
	{"apk", "add"}, {"apk", "update"}, {"apk", "upgrade"}, {"apk", "--no-cache"}, {"apk", "--update"},
	{"dnf", "install"}, {"dnf", "-y"}, {"dnf", "clean"}, {"yum", "install"}, {"yum", "-y"}, {"yum", "clean"},
	{"microdnf", "install"}, {"microdnf", "-y"}, {"microdnf", "clean"},
	{"npm", "cache", "clean"}, {"npm", "config", "set"}, {"npm", "--version"}, {"npm", "-v"}, {"node", "--version"}, {"node", "-v"},
	{"yarn", "cache", "clean"}, {"yarn", "config", "set"}, {"pnpm", "config", "set"},
	{"corepack", "enable"}, {"corepack", "prepare"},
	{"pip", "cache", "purge"}, {"pip", "--version"}, {"python", "--version"}, {"python3", "--version"},
	{"go", "version"}, {"go", "env"},
	{"groupadd"}, {"useradd"}, {"addgroup"}, {"adduser"},
	{"true"}, {"echo"}, {"git", "config", "--global"},
}

// isFree reports whether the command is in the table or is a global install.
func isFree(c command) bool {
	if len(c.words) == 0 {
		return false
	}
	if local(c) {
		return false
	}
	switch c.words[0] {
	case "npm", "pnpm", "yarn":
		if isGlobalInstall(c) {
			return true
		}
		if slices.ContainsFunc(c.words, func(w string) bool { return strings.HasPrefix(w, "--location") }) {
			return false // may write the project's .npmrc
		}
	case "corepack":
		return c.starts("corepack", "enable") || c.starts("corepack", "prepare") && len(c.words) > 2
	case "go":
		if c.starts("go", "install") {
			_, names := c.args(2)
			return len(names) > 0 && !slices.ContainsFunc(names, func(n string) bool { return !strings.Contains(n, "@") })
		}
	case "mkdir", "rm":
		_, names := c.args(1)
		return len(names) > 0 && !slices.ContainsFunc(names, func(n string) bool { return !scratch(n) })
	}
	if names, ok := pipArgs(c); ok {
		return pipFree(names)
	}
	return slices.ContainsFunc(free, func(form []string) bool { return c.starts(form...) })
}

// scratch reports a path that no build context lands in.
func scratch(name string) bool {
	for _, dir := range []string{"/tmp/", "/var/lib/apt/lists", "/var/cache/", "/root/.npm", "/root/.cache", "/usr/local/share/.cache"} {
		if strings.HasPrefix(name, dir) && !strings.Contains(name, "..") {
			return true
		}
	}
	return false
}

// local reports whether a word of the command may name a file of the working
// directory: "./x", "x/y", "." and the like.
func local(c command) bool {
	for _, w := range c.words[1:] {
		if strings.Contains(w, "://") || strings.HasPrefix(w, "@") {
			continue // an address, or a scoped npm package
		}
		if w == "." || w == ".." || strings.HasPrefix(w, "./") || strings.HasPrefix(w, "../") || strings.HasSuffix(w, ".tgz") ||
			strings.HasSuffix(w, ".deb") || strings.HasSuffix(w, ".rpm") || strings.HasSuffix(w, ".apk") || strings.HasPrefix(w, "file:") {
			return true
		}
	}
	return false
}

// isGlobalInstall recognises `npm install -g NAME` and its relatives, which
// read no package.json.
func isGlobalInstall(c command) bool {
	flags, rest := c.args(1)
	global := slices.Contains(flags, "-g") || slices.Contains(flags, "--global")
	if c.words[0] == "yarn" {
		return len(rest) > 2 && rest[0] == "global" && rest[1] == "add"
	}
	return global && len(rest) > 1 && slices.Contains([]string{"install", "i", "add"}, rest[0])
}

// pipArgs returns the arguments of `pip install`, however pip is called. A pip
// named by a relative path is not one that is known.
func pipArgs(c command) ([]string, bool) {
	w := c.words
	if len(w) > 2 && (w[0] == "python" || w[0] == "python3") && w[1] == "-m" && w[2] == "pip" {
		w = w[2:]
	}
	name := path.Base(w[0])
	if (name != "pip" && name != "pip3") || strings.Contains(w[0], "/") && !path.IsAbs(w[0]) {
		return nil, false
	}
	// Global flags may precede the subcommand: pip --no-cache-dir install.
	for i, word := range w[1:] {
		if word == "install" {
			return append(slices.Clone(w[1:1+i]), w[i+2:]...), true
		}
		if !strings.HasPrefix(word, "-") {
			break
		}
	}
	return nil, false
}

// pipFree reports arguments of pip that name packages of an index only.
func pipFree(args []string) bool {
	named := false
	for _, a := range args {
		switch {
		case a == "--upgrade" || a == "-U" || a == "-q" || a == "--quiet" || a == "--no-cache-dir" || a == "--user" ||
			a == "--disable-pip-version-check" || a == "--root-user-action=ignore":
		case strings.HasPrefix(a, "-") || strings.ContainsAny(a, "/\\") || strings.HasSuffix(a, ".whl"):
			return false
		default:
			named = true
		}
	}
	return named
}

// deletes reports a command that takes files away again: in a layer of its own
// it would not make the image smaller.
func deletes(c command) bool {
	if len(c.words) == 0 {
		return false
	}
	return c.words[0] == "rm" || slices.Contains(c.words, "prune") || slices.Contains(c.words, "clean") ||
		slices.Contains(c.words, "autoclean") || slices.Contains(c.words, "uninstall")
}
