package project

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/context/ignore"
	"github.com/stokerd/stoker/internal/config"
	"github.com/stokerd/stoker/internal/discover"
	"github.com/stokerd/stoker/internal/git"
)

// An Opener makes pictures. Its fields must not be changed after the first use. It is
// safe for concurrent use.
type Opener struct {
	Secrets  *SecretCache        // nil to search for no secrets
	Resolver dockerfile.Resolver // of base images; nil to assume their configurations
	User     *config.File        // the user's configuration; nil for none
	Flags    config.Flags
	Env      map[string]string // for compose and bake files
	// Learnt, if not nil, returns the definitions of builds that were observed.
	Learnt func() []buildctx.Definition
	// Scanned, if not nil, is called with each tree that was read without an earlier one,
	// before the tree is used.
	Scanned func(root string, tree *buildctx.Tree)
}

// Root returns the repository around dir: the git work tree, else dir itself.
func Root(ctx context.Context, dir string) (string, error) {
	resolved, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return "", fmt.Errorf("open repository: %w", err)
	}
	if repo, err := git.Open(ctx, resolved); err == nil {
		return repo.Root(), nil
	}
	return filepath.Abs(resolved)
}

// Open makes a picture of the repository at root from the disk. If there are adHoc
// definitions, the picture is of those, and not of the repository's own. allowed says
// whether the user allowed the repository. An error means that there is no picture at all;
// what is wrong with one definition is in its Problem.
func (o *Opener) Open(ctx context.Context, root string, allowed bool, adHoc ...buildctx.Definition) (*Picture, error) {
	return o.open(ctx, &Picture{Root: root, Sequence: 1, Defined: 1, Allowed: allowed, adHoc: adHoc})
}

// open completes p, which has a root and sequences, and may have older trees: these are
// updated, so that both share what did not change.
func (o *Opener) open(ctx context.Context, p *Picture) (*Picture, error) {
	var began time.Time
	for stale := true; stale; {
		began = time.Now()
		err := o.define(ctx, p)
		if err == nil {
			err = o.scan(ctx, p, p.newTrees())
		}
		if err != nil {
			return nil, err
		}
		// Definitions may depend on which files exist. What comes or goes after the trees
		// were read will be in a Diff, but what came or went between define and scan will
		// not: begin again in that case.
		stale = p.Discovery.Outdated(nil)
	}
	o.readHead(ctx, p)
	o.computeAll(ctx, p)
	p.lookOutside(began)
	return p, ctx.Err()
}

// define sets p's configuration and definitions from the disk.
func (o *Opener) define(ctx context.Context, p *Picture) error {
	file, err := config.ReadRepository(p.Root)
	if err != nil {
		return err
	}
	p.Config, p.Builds = config.Merge(o.Flags, file, o.User, p.Allowed), nil
	if len(p.adHoc) > 0 {
		for _, d := range p.adHoc {
			p.Builds = append(p.Builds, &Build{Definition: d})
		}
		return nil
	}
	p.Discovery, err = discover.Discover(ctx, p.Root, p.Config, o.discovery())
	if err != nil {
		return err
	}
	for _, d := range p.Discovery.Definitions {
		p.Builds = append(p.Builds, &Build{Definition: d})
	}
	return nil
}

// discovery returns the options with which definitions are looked for.
func (o *Opener) discovery() discover.Options {
	options := discover.Options{Env: o.Env}
	if o.Learnt != nil {
		options.Learnt = o.Learnt()
	}
	return options
}

// newTrees returns the directories to scan: the repository, unless the picture is of ad hoc
// definitions, and the contexts that are in no other of these directories.
func (p *Picture) newTrees() []string {
	var roots []string
	if len(p.adHoc) == 0 {
		roots = append(roots, p.Root)
	}
	var dirs []string
	for _, d := range p.definitions() {
		dirs = append(dirs, contextsOf(d)...)
	}
	slices.SortFunc(dirs, func(a, b string) int { return len(a) - len(b) })
	for _, dir := range dirs {
		resolved, err := filepath.EvalSymlinks(dir)
		if err != nil {
			continue // this will be the problem of the definition
		}
		if !slices.ContainsFunc(roots, func(root string) bool { _, ok := within(root, resolved); return ok }) {
			roots = append(roots, resolved)
		}
	}
	return roots
}

// contextsOf returns the folders that a build of d sends files of.
func contextsOf(d buildctx.Definition) (dirs []string) {
	if !d.Remote() {
		dirs = append(dirs, d.Context)
	}
	for _, dir := range d.LocalContexts() {
		dirs = append(dirs, dir)
	}
	return dirs
}

// lacksTree reports whether a build has a problem because its context, by a symbolic link that
// changed, is now in a place that was not read.
func (p *Picture) lacksTree() bool {
	for _, b := range p.Builds {
		if b.Problem == nil {
			continue
		}
		for _, dir := range contextsOf(b.Definition) {
			resolved, err := filepath.EvalSymlinks(dir)
			if err == nil && !slices.ContainsFunc(p.tried, func(root string) bool { _, ok := within(root, resolved); return ok }) {
				return true
			}
		}
	}
	return false
}

// scan reads the trees at roots. It is an error only if the repository itself cannot be
// read.
func (o *Opener) scan(ctx context.Context, p *Picture, roots []string) error {
	old := p.trees
	p.tried = roots
	p.trees, p.pruners = map[string]*buildctx.Tree{}, map[string]*pruner{}
	for _, root := range roots {
		pr := newPruner(root, p.definitions(), p.Discovery.Files)
		var (
			tree *buildctx.Tree
			err  error
		)
		if before := old[root]; before != nil {
			tree, _, err = before.Apply(ctx, []string{"."}, pr.start())
		} else {
			tree, err = buildctx.Scan(ctx, root, pr.start())
			if err == nil && o.Scanned != nil {
				o.Scanned(root, tree)
			}
		}
		if err != nil && root == p.Root {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil {
			p.trees[root], p.pruners[root] = tree, pr
		}
	}
	p.Files = countFiles(p.trees)
	return nil
}

func countFiles(trees map[string]*buildctx.Tree) int {
	n := 0
	for _, t := range trees {
		n += t.Files()
	}
	return n
}

// readHead sets p.Head, which is zero if there is no git or no commit.
func (o *Opener) readHead(ctx context.Context, p *Picture) {
	p.Head = git.Head{}
	if repo, err := git.Open(ctx, p.Root); err == nil {
		if head, err := repo.Head(ctx); err == nil {
			p.Head = head
		}
	}
}

// computeAll computes all builds and their findings. It then lets the cache of secrets
// forget files that are gone.
func (o *Opener) computeAll(ctx context.Context, p *Picture) {
	pass := o.Secrets.begin()
	roots := map[string]bool{}
	for i, b := range p.Builds {
		p.Builds[i] = o.compute(ctx, p, b.Definition)
		if s := p.Builds[i].Selection; s != nil {
			for _, l := range s.Locals() {
				roots[l.Root] = true
			}
		}
	}
	if ctx.Err() == nil {
		for root := range roots {
			o.Secrets.end(root, pass)
		}
	}
	p.Findings = merge(p.Builds, p.Config.Allow)
}

// compute selects the files of a definition and inspects all of them.
func (o *Opener) compute(ctx context.Context, p *Picture, def buildctx.Definition) *Build {
	b := &Build{Definition: def}
	s, err := buildctx.Compute(ctx, def, o.Resolver, p.view)
	if err != nil {
		b.Problem = p.problem(def, err)
		return b
	}
	b.Selection = s
	for _, l := range s.Locals() {
		b.add(look{o, p, s, l}.everywhere(ctx))
	}
	return b
}

// follow returns b with the files of p's trees, or b itself if none of its files changed.
// It requires that the Dockerfile and what is known about base images did not change.
func (o *Opener) follow(ctx context.Context, p *Picture, b *Build) *Build {
	s, err := b.Selection.Update(ctx, p.view)
	if err != nil {
		return &Build{Definition: b.Definition, Problem: p.problem(b.Definition, err)}
	}
	next, same := &Build{Definition: b.Definition, Selection: s}, true
	before := b.Selection.Locals()
	for i, l := range s.Locals() {
		k := look{o, p, s, l}
		paths, known := l.Since(before[i])
		switch {
		case !known:
			next.add(k.everywhere(ctx))
		case len(paths) > 0:
			next.add(k.again(ctx, paths, before[i], b.found[i]))
		default:
			next.add(b.found[i])
			continue
		}
		same = false
	}
	if same {
		return b
	}
	return next
}

// add adds the findings of the build's next local context.
func (b *Build) add(f found) {
	b.found = append(b.found, f)
	b.findings = append(b.findings, f.all()...)
}

// problem returns the problem that err, of computing def, means, with paths relative to the
// repository.
func (p *Picture) problem(def buildctx.Definition, err error) *Problem {
	var (
		de         *dockerfile.Error
		ie         *ignore.Error
		unreadable *buildctx.UnreadableError
		outside    *outsideError
	)
	problem := &Problem{Text: err.Error()}
	switch {
	case errors.As(err, &de):
		problem.Hint = de.Hint
		if dir := p.lacksCheckout(p.Relative(de.File)); dir != "" && errors.Is(err, fs.ErrNotExist) {
			problem.Hint = notCheckedOut(dir)
		}
	case errors.As(err, &ie):
		problem.Hint = ie.Hint
	case errors.As(err, &unreadable):
		problem.Hint = unreadable.Hint()
	case errors.As(err, &outside), errors.Is(err, fs.ErrNotExist):
		dir := def.Context
		if outside != nil {
			dir = outside.dir
		}
		problem.Text = fmt.Sprintf("build context %s does not exist", p.Relative(dir))
		if def.Origin != "" && def.Origin != buildctx.Observed {
			problem.Hint = "mend the context in " + def.Origin
		}
		if sub := p.lacksCheckout(p.Relative(dir)); sub != "" {
			problem.Hint = notCheckedOut(sub)
		}
	}
	problem.Text = strings.ReplaceAll(problem.Text, p.Root+string(filepath.Separator), "")
	return problem
}

// realPath resolves symbolic links in name, since paths of changes have none. If there is
// no such file, it resolves those in the path of its directory.
func realPath(name string) string {
	if resolved, err := filepath.EvalSymlinks(name); err == nil {
		return resolved
	}
	if dir, err := filepath.EvalSymlinks(filepath.Dir(name)); err == nil {
		return filepath.Join(dir, filepath.Base(name))
	}
	return name
}
