package image

import (
	"path"
	"slices"
	"strings"
)

// Leftover is a directory that a package manager or a build left behind, and that containers do not need. Only files
// that a container sees are counted.
type Leftover struct {
	Kind   string // apt-lists, pip-cache, …
	Path   string // the directory; for a kind that is spread over the image, the root
	Bytes  int64
	Files  int
	Layers []int  // numbers of the layers that hold them
	Advice string // how to avoid it
}

// leftoverRule finds leftovers by the path of a directory. Exactly one of at and parts is set.
type leftoverRule struct {
	kind   string
	at     string   // the directory, from the root
	parts  []string // the last elements of its path, wherever it is; the last one may end in "*"
	spread bool     // all directories together are one leftover
	except []string // base names of files that are needed
	advice string
}

const (
	sameRun = " in the RUN that fills it: a later one only hides it"
	mount   = "; or keep it out of the image with RUN --mount=type=cache,target="
)

// leftoverRules are the known leftovers. A directory in a leftover is part of that, even if a rule matches it as well.
var leftoverRules = []leftoverRule{
	{kind: "apt-lists", at: "var/lib/apt/lists", except: []string{"lock"}, advice: "rm -rf /var/lib/apt/lists/*" + sameRun + mount + "/var/lib/apt/lists"},
	{kind: "apt-cache", at: "var/cache/apt", except: []string{"lock"}, advice: "apt-get clean" + sameRun + mount + "/var/cache/apt"},
	{kind: "apk-cache", at: "var/cache/apk", advice: "apk add --no-cache"},
	{kind: "apk-cache", at: "etc/apk/cache", advice: "apk add --no-cache"},
	{kind: "dnf-cache", at: "var/cache/dnf", advice: "dnf clean all" + sameRun + mount + "/var/cache/dnf"},
	{kind: "dnf-cache", at: "var/cache/libdnf5", advice: "dnf clean all" + sameRun + mount + "/var/cache/libdnf5"},
	{kind: "yum-cache", at: "var/cache/yum", advice: "yum clean all" + sameRun},
	{kind: "pip-cache", parts: []string{".cache", "pip"}, advice: "pip install --no-cache-dir" + mount + "/root/.cache/pip"},
	{kind: "uv-cache", parts: []string{".cache", "uv"}, advice: "uv sync --no-cache" + mount + "/root/.cache/uv"},
	{kind: "poetry-cache", parts: []string{".cache", "pypoetry"}, advice: "rm -rf ~/.cache/pypoetry" + sameRun + mount + "/root/.cache/pypoetry"},
	{kind: "pipenv-cache", parts: []string{".cache", "pipenv"}, advice: "rm -rf ~/.cache/pipenv" + sameRun + mount + "/root/.cache/pipenv"},
	{kind: "npm-cache", parts: []string{".npm", "_*"}, advice: "npm cache clean --force" + sameRun + mount + "/root/.npm"},
	{kind: "yarn-cache", at: "usr/local/share/.cache/yarn", advice: "yarn cache clean" + sameRun + mount + "/usr/local/share/.cache/yarn"},
	{kind: "yarn-cache", parts: []string{".cache", "yarn"}, advice: "yarn cache clean" + sameRun},
	{kind: "yarn-cache", parts: []string{".yarn", "berry", "cache"}, advice: "yarn cache clean --all" + sameRun + mount + "/root/.yarn/berry/cache"},
	{kind: "pnpm-store", parts: []string{"pnpm", "store"}, advice: "build in another stage, or pnpm deploy" + mount + "/root/.local/share/pnpm/store"},
	{kind: "pnpm-store", parts: []string{".pnpm-store"}, advice: "build in another stage, or pnpm deploy" + mount + "/.pnpm-store"},
	{kind: "bun-cache", parts: []string{".bun", "install", "cache"}, advice: "build in another stage" + mount + "/root/.bun/install/cache"},
	{kind: "node-gyp-cache", parts: []string{".cache", "node-gyp"}, advice: "build native modules in another stage"},
	{kind: "go-build-cache", parts: []string{".cache", "go-build"}, advice: "build in another stage and copy the program" + mount + "/root/.cache/go-build"},
	{kind: "go-modules", parts: []string{"go", "pkg", "mod"}, advice: "build in another stage and copy the program" + mount + "/go/pkg/mod"},
	{kind: "cargo-registry", parts: []string{"cargo", "registry"}, advice: "build in another stage and copy the program"},
	{kind: "cargo-registry", parts: []string{".cargo", "registry"}, advice: "build in another stage and copy the program"},
	{kind: "maven-repository", parts: []string{".m2", "repository"}, advice: "build in another stage and copy the jar" + mount + "/root/.m2"},
	{kind: "gradle-cache", parts: []string{".gradle", "caches"}, advice: "build in another stage and copy the jar" + mount + "/root/.gradle"},
	{kind: "composer-cache", parts: []string{".composer", "cache"}, advice: "composer install --no-cache"},
	{kind: "gem-cache", at: "usr/local/bundle/cache", advice: "rm -rf /usr/local/bundle/cache" + sameRun},
	{kind: "git-directory", parts: []string{".git"}, advice: "list .git in .dockerignore"},
	{kind: "python-bytecode", parts: []string{"__pycache__"}, spread: true, advice: "PYTHONDONTWRITEBYTECODE=1 while installing, or PIP_NO_COMPILE=1; start-up gets slower"},
	{kind: "documentation", at: "usr/share/doc", except: []string{"copyright"}, advice: "a slim base, or path-exclude in /etc/dpkg/dpkg.cfg.d before packages are installed"},
	{kind: "manual-pages", at: "usr/share/man", advice: "a slim base, or path-exclude in /etc/dpkg/dpkg.cfg.d before packages are installed"},
	{kind: "manual-pages", at: "usr/local/share/man", advice: "rm -rf /usr/local/share/man" + sameRun},
	{kind: "info-pages", at: "usr/share/info", advice: "a slim base, or path-exclude in /etc/dpkg/dpkg.cfg.d before packages are installed"},
	{kind: "temporary-files", at: "tmp", advice: "remove them" + sameRun},
	{kind: "temporary-files", at: "var/tmp", advice: "remove them" + sameRun},
	{kind: "logs", at: "var/log", advice: "remove them" + sameRun},
}

// leftovers collects the leftovers of an image, file by file. Rules are identified by their index.
type leftovers struct {
	paths *paths
	roots map[int32]int    // the rule for a directory, of rules with at
	last  map[string][]int // the rules by their last part, of rules with parts
	found map[leftoverKey]*leftover
	above map[int32]match // results of under
}

// leftoverKey identifies a leftover.
type leftoverKey struct {
	rule int
	top  int32 // the directory
}

// match is the rule that matches a directory, or one above it, and which of them that is.
type match struct {
	rule int // -1 for none
	top  int32
}

// leftover is the sum of the files in a leftover.
type leftover struct {
	bytes  int64
	files  int
	layers map[int32]bool
}

func (l *leftovers) init(p *paths) {
	*l = leftovers{
		paths: p, roots: map[int32]int{}, last: map[string][]int{}, found: map[leftoverKey]*leftover{}, above: map[int32]match{root: {-1, 0}},
	}
	for i, r := range leftoverRules {
		if r.at != "" {
			if node := p.find(r.at); node > 0 {
				l.roots[node] = i
			}
		} else {
			end := r.parts[len(r.parts)-1]
			l.last[end] = append(l.last[end], i)
		}
	}
}

// see adds a visible file, which is in a layer.
func (l *leftovers) see(node, layer int32, e *entry) {
	m := l.under(l.paths.nodes[node].parent)
	if m.rule < 0 || slices.Contains(leftoverRules[m.rule].except, l.paths.nodes[node].name) {
		return
	}
	key := leftoverKey(m)
	if leftoverRules[m.rule].spread {
		key.top = root
	}
	f := l.found[key]
	if f == nil {
		f = &leftover{layers: map[int32]bool{}}
		l.found[key] = f
	}
	f.files++
	f.bytes += e.size
	f.layers[layer] = true
}

// under returns the leftover that a directory is part of. If the directory above is part of one, so is this; the results
// are remembered.
func (l *leftovers) under(dir int32) match {
	var way []int32
	at := dir
	for {
		if m, ok := l.above[at]; ok {
			for i := len(way) - 1; i >= 0; i-- {
				if m.rule < 0 {
					m = l.begins(way[i])
				}
				l.above[way[i]] = m
			}
			return m
		}
		way = append(way, at)
		at = l.paths.nodes[at].parent
	}
}

// begins returns the rule that matches the directory itself.
func (l *leftovers) begins(dir int32) match {
	if rule, ok := l.roots[dir]; ok {
		return match{rule, dir}
	}
	name := l.paths.nodes[dir].name
	rules := l.last[name]
	if strings.HasPrefix(name, "_") {
		rules = append(slices.Clip(rules), l.last["_*"]...)
	}
	for _, rule := range rules {
		parts := leftoverRules[rule].parts
		at, ok := l.paths.nodes[dir].parent, true
		for i := len(parts) - 2; i >= 0 && ok; i-- {
			ok = at > 0 && l.paths.nodes[at].name == parts[i]
			if at > 0 {
				at = l.paths.nodes[at].parent
			}
		}
		if ok {
			return match{rule, dir}
		}
	}
	return match{-1, 0}
}

// list returns the leftovers that are not empty, the largest first.
func (l *leftovers) list(p *paths) []Leftover {
	var out []Leftover
	for key, f := range l.found {
		if f.bytes == 0 {
			continue
		}
		r := leftoverRules[key.rule]
		one := Leftover{Kind: r.kind, Path: p.name(key.top), Bytes: f.bytes, Files: f.files, Advice: r.advice}
		if len(r.parts) > 0 && strings.HasSuffix(r.parts[len(r.parts)-1], "*") {
			one.Path = path.Dir(one.Path)
		}
		for layer := range f.layers {
			one.Layers = append(one.Layers, int(layer)+1)
		}
		slices.Sort(one.Layers)
		out = append(out, one)
	}
	slices.SortFunc(out, func(x, y Leftover) int { return larger(x.Bytes, y.Bytes, x.Path, y.Path) })
	return out
}
