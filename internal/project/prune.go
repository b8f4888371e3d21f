package project

import (
	"path"
	"path/filepath"
	"slices"
	"strings"

	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/context/ignore"
	"github.com/stokerd/stoker/internal/discover"
)

// A pruner decides which directories below a root are not read, because no build can need
// anything in them. It is immutable.
type pruner struct {
	root     string
	contexts []prunedContext
	keep     []string // directories with files that define builds, relative to root
}

// prunedContext is a context directory with its ignore file.
type prunedContext struct {
	dir     string          // relative to the root, "." for the root itself
	matcher *ignore.Matcher // nil if the ignore file cannot be read
}

// newPruner makes the pruner for root. It reads the ignore files of the definitions whose
// contexts are in there. files are those that the definitions were read from. In a context
// whose ignore file cannot be read, nothing is pruned, so that nothing is missing once it
// is mended.
func newPruner(root string, defs []buildctx.Definition, files []string) *pruner {
	p := &pruner{root: root}
	known := map[string]bool{} // builds often share a context and its ignore file
	for _, file := range files {
		p.hold(file)
	}
	for _, d := range defs {
		for _, file := range append(ignore.Candidates(d.Context, d.Dockerfile), d.Dockerfile) {
			p.hold(file)
		}
		if !d.Remote() {
			p.add(d.Context, d.Dockerfile, known)
		}
		for _, dir := range d.LocalContexts() {
			p.hold(filepath.Join(dir, ".dockerignore"))
			p.add(dir, "", known)
		}
	}
	return p
}

// hold keeps the directory of a file that defines a build, although an ignore file may
// exclude it, and the directories that symbolic links in its path lead through.
func (p *pruner) hold(file string) {
	for _, place := range discover.Places(file) {
		if rel, ok := within(p.root, filepath.Dir(place)); ok && !slices.Contains(p.keep, rel) {
			p.keep = append(p.keep, rel)
		}
	}
}

// add adds a context. known has the contexts that were added already, by directory and
// ignore file.
func (p *pruner) add(dir, dockerfile string, known map[string]bool) {
	// The context need not exist: it has to be noticed when it is created.
	rel, ok := within(p.root, realPath(dir))
	if !ok {
		return
	}
	c := prunedContext{dir: rel}
	if file, err := ignore.Find(dir, dockerfile); err == nil {
		if key := rel + "\x00" + file.Path; known[key] {
			return
		} else {
			known[key] = true
		}
		if m, err := ignore.NewMatcher(file); err == nil {
			c.matcher = m
		}
	}
	p.contexts = append(p.contexts, c)
}

// outsideContexts are the names of directories that are pruned unless they are in a
// context, because they are large, change often, and define no builds (discover: skipped).
var outsideContexts = map[string]bool{
	".git": true, "node_modules": true, "vendor": true, ".venv": true, "venv": true, "__pycache__": true,
	".hg": true, ".svn": true, ".jj": true, "target": true, ".terraform": true, ".cache": true,
}

// A pruning is the state of a pruner at a directory that is not pruned. It implements
// [buildctx.Pruner].
type pruning struct {
	dir    string
	ahead  []prunedContext // contexts below dir
	keep   []string        // directories to keep below dir
	inside bool            // dir is in a context
	within []prunedWithin  // the contexts that dir is in, and that may take something below it
}

// prunedWithin is the state of a context's ignore file at a directory in the context.
type prunedWithin struct {
	*ignore.Matcher
	state ignore.State
}

// start returns the pruner at the root, or nil if nothing is to be pruned.
func (p *pruner) start() buildctx.Pruner {
	above := &pruning{ahead: p.contexts, keep: p.keep}
	at, _ := above.at(".", nil)
	return at
}

// Enter implements [buildctx.Pruner]. A directory is pruned if it neither contains nor
// keeps anything that defines a build, no context is in it, no context that it is in takes
// anything below it, and it is in a context or one of outsideContexts.
func (p *pruning) Enter(name string) (buildctx.Pruner, bool) {
	dir := name
	if p.dir != "." {
		dir = p.dir + "/" + name
	}
	var within []prunedWithin
	for _, w := range p.within {
		w.state = w.Enter(w.state, name)
		if !w.state.Pruned() {
			within = append(within, w)
		}
	}
	return p.at(dir, within)
}

// at returns the pruner at dir, which is p.dir or directly in it, and whether dir is pruned.
// within are the contexts from above that may take something below dir.
func (p *pruning) at(dir string, within []prunedWithin) (buildctx.Pruner, bool) {
	next := &pruning{dir: dir, inside: p.inside, within: within}
	kept := false
	for _, c := range p.ahead {
		switch {
		case c.dir == dir && c.matcher == nil:
			return nil, false
		case c.dir == dir:
			next.inside = true
			next.within = append(next.within, prunedWithin{c.matcher, c.matcher.Root()})
		case below(dir, c.dir):
			next.ahead = append(next.ahead, c)
		}
	}
	for _, k := range p.keep {
		kept = kept || below(dir, k)
		if k != dir && below(dir, k) {
			next.keep = append(next.keep, k)
		}
	}
	needed := kept || len(next.within) > 0 || len(next.ahead) > 0
	return next, !needed && (next.inside || outsideContexts[path.Base(dir)])
}

// prunes reports whether dir, relative to the root, or a directory above it is pruned.
func (p *pruner) prunes(dir string) bool {
	at := p.start()
	if at == nil || dir == "." {
		return false
	}
	for name := range strings.SplitSeq(dir, "/") {
		below, prune := at.Enter(name)
		if prune || below == nil {
			return prune
		}
		at = below
	}
	return false
}

// watches reports whether dir has to be watched although it is pruned. git writes the
// current branch and its commit in such folders.
func (p *pruner) watches(dir string) bool {
	return dir == ".git" || dir == ".git/refs" || dir == ".git/refs/heads" || strings.HasPrefix(dir, ".git/refs/heads/")
}

// below reports whether name is dir or is below it.
func below(dir, name string) bool {
	return dir == "." || name == dir || strings.HasPrefix(name, dir+"/")
}

// Prune returns a function that reports whether a directory, relative to root, need not be
// watched. It returns nil if root is none of [Picture.Roots].
func (p *Picture) Prune(root string) func(dir string) bool {
	pr := p.pruners[root]
	if pr == nil {
		return nil
	}
	return func(dir string) bool { return pr.prunes(dir) && !pr.watches(dir) }
}

func (p *Picture) definitions() []buildctx.Definition {
	defs := make([]buildctx.Definition, len(p.Builds))
	for i, b := range p.Builds {
		defs[i] = b.Definition
	}
	return defs
}
