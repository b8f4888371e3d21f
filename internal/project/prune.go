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

// A pruner knows which directories below a root no build can need. It is
// immutable.
type pruner struct {
	root     string
	contexts []prunedContext
	keep     []string // directories of files that define builds, relative to root
}

// prunedContext is a context directory with its ignore file.
type prunedContext struct {
	dir     string          // relative to the root, "." for the root itself
	matcher *ignore.Matcher // nil if the ignore file cannot be read
}

// newPruner reads the ignore files of the definitions whose contexts lie below
// root; files are those that the definitions were read from. A definition with an ignore file that cannot be read prunes nothing, so
// that the picture is whole once it is mended.
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

// hold keeps the directories of a file that defines a build, and of what it
// leads to as a link: the ignore file may well leave those out.
func (p *pruner) hold(file string) {
	for _, place := range discover.Places(file) {
		if rel, ok := within(p.root, filepath.Dir(place)); ok && !slices.Contains(p.keep, rel) {
			p.keep = append(p.keep, rel)
		}
	}
}

func (p *pruner) add(dir, dockerfile string, known map[string]bool) {
	// A context that is not there yet must be seen once it is.
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

// outsideContexts are directories of which nothing is wanted unless a context
// holds them: they are large, change all the time, and define no build (discover:
// skipped).
var outsideContexts = map[string]bool{
	".git": true, "node_modules": true, "vendor": true, ".venv": true, "venv": true, "__pycache__": true,
	".hg": true, ".svn": true, ".jj": true, "target": true, ".terraform": true, ".cache": true,
}

// A pruning is a pruner at a directory that is not pruned.
type pruning struct {
	dir    string
	ahead  []prunedContext // contexts below dir
	keep   []string        // directories below dir
	inside bool            // a context holds dir
	within []prunedWithin  // those of them that may take something of it
}

type prunedWithin struct {
	*ignore.Matcher
	state ignore.State
}

// start returns the pruner at the root; nil prunes nothing.
func (p *pruner) start() buildctx.Pruner {
	above := &pruning{ahead: p.contexts, keep: p.keep}
	at, _ := above.at(".", nil)
	return at
}

// Enter implements [buildctx.Pruner]: nothing at or below a directory matters if
// no context lies there, none that holds it takes anything of it, and it is
// nobody's but a context's.
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

// at returns the pruner at dir, which is p's or in it, given which contexts from
// above may take something of it.
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

// prunes reports whether nothing at or below dir, relative to the root, matters.
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

// watches reports whether dir has to be watched although it is pruned: the
// folders of git in which the current branch and its commit are written.
func (p *pruner) watches(dir string) bool {
	return dir == ".git" || dir == ".git/refs" || dir == ".git/refs/heads" || strings.HasPrefix(dir, ".git/refs/heads/")
}

// below reports whether name is dir or lies below it.
func below(dir, name string) bool {
	return dir == "." || name == dir || strings.HasPrefix(name, dir+"/")
}

// Prune returns what need not be watched below root, one of p.Roots.
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
