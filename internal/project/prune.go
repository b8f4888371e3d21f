package project

import (
	"path"
	"path/filepath"
	"strings"

	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/context/ignore"
)

// A pruner knows which directories below a root no build can need.
type pruner struct {
	root     string
	contexts []prunedContext
	keep     []string // directories of files that define builds, relative to root
}

// prunedContext is a context directory with its ignore file.
type prunedContext struct {
	dir     string // relative to the root, "." for the root itself
	matcher *ignore.Matcher
}

// newPruner reads the ignore files of the definitions whose contexts lie below
// root. A definition with an ignore file that cannot be read prunes nothing, so
// that the picture is whole once it is mended.
func newPruner(root string, defs []buildctx.Definition) *pruner {
	p := &pruner{root: root}
	for _, d := range defs {
		if rel, ok := within(root, filepath.Dir(d.Dockerfile)); ok {
			p.keep = append(p.keep, rel)
		}
		if !d.Remote() {
			p.add(d.Context, d.Dockerfile)
		}
		for _, dir := range d.LocalContexts() {
			p.add(dir, filepath.Join(dir, ".dockerignore"))
		}
	}
	return p
}

func (p *pruner) add(dir, dockerfile string) {
	// A context that is not there yet must be seen once it is.
	rel, ok := within(p.root, realPath(dir))
	if !ok {
		return
	}
	c := prunedContext{dir: rel}
	if file, err := ignore.Find(dir, dockerfile); err == nil {
		if m, err := ignore.NewMatcher(file); err == nil {
			c.matcher = m
		}
	}
	p.contexts = append(p.contexts, c)
}

// outsideContexts are directories of which nothing is wanted unless a context
// holds them: they are large, change all the time, and define no build.
var outsideContexts = map[string]bool{
	".git": true, "node_modules": true, "vendor": true, ".venv": true, "venv": true, "__pycache__": true,
	".hg": true, ".svn": true, ".jj": true, "target": true, ".terraform": true, ".cache": true,
}

// prunes reports whether nothing at or below dir, relative to the root, matters.
func (p *pruner) prunes(dir string) bool {
	inside := false
	for _, c := range p.contexts {
		if below(c.dir, dir) {
			inside = true
			if c.matcher == nil || !c.matcher.Prunes(relativeTo(c.dir, dir)) {
				return false
			}
		} else if below(dir, c.dir) {
			return false // a context lies below
		}
	}
	for _, k := range p.keep {
		if below(dir, k) {
			return false
		}
	}
	return inside || outsideContexts[path.Base(dir)]
}

// watches reports whether dir has to be watched although it is pruned: the
// folders of git in which the current branch and its commit are written.
func (p *pruner) watches(dir string) bool {
	return dir == ".git" || dir == ".git/refs" || dir == ".git/refs/heads" || strings.HasPrefix(dir, ".git/refs/heads/")
}

// below reports whether name is dir or lies below it.
func below(dir, name string) bool {
	return dir == "." || name == dir || strings.HasPrefix(name, dir+"/")
}

func relativeTo(dir, name string) string {
	if dir == "." {
		return name
	}
	if name == dir {
		return "."
	}
	return strings.TrimPrefix(name, dir+"/")
}

// Prune returns what need not be watched below root, one of p.Roots.
func (p *Picture) Prune(root string) func(dir string) bool {
	pr := newPruner(root, p.definitions())
	return func(dir string) bool { return pr.prunes(dir) && !pr.watches(dir) }
}

func (p *Picture) definitions() []buildctx.Definition {
	defs := make([]buildctx.Definition, len(p.Builds))
	for i, b := range p.Builds {
		defs[i] = b.Definition
	}
	return defs
}
