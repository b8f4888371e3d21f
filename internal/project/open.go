package project

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/context/ignore"
	"github.com/stokerd/stoker/internal/config"
	"github.com/stokerd/stoker/internal/discover"
	"github.com/stokerd/stoker/internal/git"
)

// An Opener makes pictures. Its fields are set once, before the first use; it
// is safe for concurrent use.
type Opener struct {
	Secrets  *SecretCache
	Resolver dockerfile.Resolver // of base images; nil assumes them
	User     *config.File        // the user's configuration; nil for none
	Flags    config.Flags
	Env      map[string]string // for compose files
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

// Open pictures the repository at root from the disk. With adHoc definitions
// the picture is of those and not of what the repository declares. An error
// means that there is no picture at all; what is wrong with one definition is
// in its Problem.
func (o *Opener) Open(ctx context.Context, root string, allowed bool, adHoc ...buildctx.Definition) (*Picture, error) {
	p := &Picture{Root: root, Sequence: 1, Defined: 1, Allowed: allowed, adHoc: adHoc}
	if err := o.define(ctx, p); err != nil {
		return nil, err
	}
	if err := o.scan(ctx, p, p.newTrees()); err != nil {
		return nil, err
	}
	o.readHead(ctx, p)
	o.computeAll(ctx, p)
	return p, ctx.Err()
}

// Update returns the picture after the given paths, by root and relative to it,
// have changed; a root without paths is scanned anew. If nothing that matters
// has, old itself is returned.
func (o *Opener) Update(ctx context.Context, old *Picture, changed map[string][]string) (*Picture, error) {
	next := *old
	next.Sequence++
	next.trees = map[string]*buildctx.Tree{}
	diffs := map[string]buildctx.Diff{}
	touched := false
	for root, tree := range old.trees {
		paths, named := changed[root]
		after, diff, err := o.follow(ctx, old, tree, paths, named)
		if err != nil && root != old.Root && ctx.Err() == nil {
			return o.reopen(ctx, &next) // a context outside the repository is gone
		}
		if err != nil {
			return nil, err
		}
		next.trees[root], diffs[root] = after, diff
		touched = touched || !diff.Empty() || len(paths) > 0
	}
	if !touched {
		return old, nil
	}
	if o.redefines(&next, changed, diffs) {
		return o.reopen(ctx, &next)
	}
	if stale, err := o.reinfer(ctx, &next, diffs); err != nil {
		return nil, err
	} else if stale {
		return o.reopen(ctx, &next)
	}
	if _, named := changed[old.Root]; named && movesHead(changed[old.Root]) {
		o.readHead(ctx, &next)
	}
	next.Files = countFiles(next.trees)
	next.Builds = slices.Clone(old.Builds)
	same := next.Head == old.Head
	for i, b := range old.Builds {
		if concerns(&next, b, diffs) {
			next.Builds[i] = o.compute(ctx, &next, b.Definition)
			same = false
		}
	}
	if same {
		// What changed is in no build: readers keep what they have.
		next.Sequence = old.Sequence
	}
	next.Findings = merge(next.Builds, next.Config.Allow)
	return &next, ctx.Err()
}

// reopen looks at everything anew, as the successor of p.
func (o *Opener) reopen(ctx context.Context, p *Picture) (*Picture, error) {
	fresh, err := o.Open(ctx, p.Root, p.Allowed, p.adHoc...)
	if err != nil {
		return nil, err
	}
	fresh.Sequence, fresh.Defined = p.Sequence, p.Sequence
	return fresh, nil
}

// movesHead reports whether one of the paths may say where git stands; no path
// at all stands for all of them.
func movesHead(paths []string) bool {
	return len(paths) == 0 || slices.ContainsFunc(paths, func(name string) bool {
		return name == "." || below(".git", name)
	})
}

// reinfer repeats the discovery where files came or went and a context was
// inferred from which files there are (discover: inferContext). It reports
// whether the definitions are others now.
func (o *Opener) reinfer(ctx context.Context, p *Picture, diffs map[string]buildctx.Diff) (bool, error) {
	diff := diffs[p.Root]
	if len(diff.Added)+len(diff.Removed) == 0 || !slices.ContainsFunc(p.definitions(), p.inferred) {
		return false, nil
	}
	found, err := discover.Discover(ctx, p.Root, p.Config, discover.Options{Env: o.Env, Allowed: p.Allowed})
	if err != nil {
		return false, err
	}
	same := reflect.DeepEqual(found.Definitions, p.Discovery.Definitions)
	p.Discovery = found
	return !same, nil
}

// inferred reports whether d's context was inferred from its Dockerfile.
func (p *Picture) inferred(d buildctx.Definition) bool {
	return d.Origin != "" && d.Origin == p.Relative(d.Dockerfile) && filepath.Dir(d.Dockerfile) != p.Root
}

func (o *Opener) follow(ctx context.Context, p *Picture, tree *buildctx.Tree, paths []string, named bool) (*buildctx.Tree, buildctx.Diff, error) {
	pr := newPruner(tree.Root(), p.definitions())
	switch {
	case !named:
		return tree, buildctx.Diff{}, nil
	case len(paths) > 0:
		return tree.Apply(ctx, paths, pr.prunes)
	}
	fresh, err := buildctx.Scan(ctx, tree.Root(), pr.prunes)
	if err != nil {
		return nil, buildctx.Diff{}, err
	}
	return fresh, tree.Compare(fresh), nil
}

// define reads the configuration and finds the definitions.
func (o *Opener) define(ctx context.Context, p *Picture) error {
	file, err := config.ReadRepository(p.Root)
	if err != nil {
		return err
	}
	p.Config = config.Merge(o.Flags, file, o.User, p.Allowed)
	if len(p.adHoc) > 0 {
		for _, d := range p.adHoc {
			p.Builds = append(p.Builds, &Build{Definition: d})
		}
		return nil
	}
	p.Discovery, err = discover.Discover(ctx, p.Root, p.Config, discover.Options{Env: o.Env, Allowed: p.Allowed})
	if err != nil {
		return err
	}
	for _, d := range p.Discovery.Definitions {
		p.Builds = append(p.Builds, &Build{Definition: d})
	}
	return nil
}

// newTrees returns the directories to scan: the repository, and the contexts
// that lie outside it, without those that lie within another. For ad hoc
// definitions the repository itself is of no interest.
func (p *Picture) newTrees() []string {
	var roots []string
	if len(p.adHoc) == 0 {
		roots = append(roots, p.Root)
	}
	var dirs []string
	for _, d := range p.definitions() {
		if !d.Remote() {
			dirs = append(dirs, d.Context)
		}
		for _, dir := range d.LocalContexts() {
			dirs = append(dirs, dir)
		}
	}
	slices.SortFunc(dirs, func(a, b string) int { return len(a) - len(b) })
	for _, dir := range dirs {
		resolved, err := filepath.EvalSymlinks(dir)
		if err != nil {
			continue // told by the definition's own problem
		}
		if !slices.ContainsFunc(roots, func(root string) bool { _, ok := within(root, resolved); return ok }) {
			roots = append(roots, resolved)
		}
	}
	return roots
}

func (o *Opener) scan(ctx context.Context, p *Picture, roots []string) error {
	p.trees = map[string]*buildctx.Tree{}
	for _, root := range roots {
		pr := newPruner(root, p.definitions())
		tree, err := buildctx.Scan(ctx, root, pr.prunes)
		if err != nil && root == p.Root {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil {
			p.trees[root] = tree
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

// readHead notes where git stands; a folder without git has no head.
func (o *Opener) readHead(ctx context.Context, p *Picture) {
	p.Head = git.Head{}
	if repo, err := git.Open(ctx, p.Root); err == nil {
		if head, err := repo.Head(ctx); err == nil {
			p.Head = head
		}
	}
}

func (o *Opener) computeAll(ctx context.Context, p *Picture) {
	for i, b := range p.Builds {
		p.Builds[i] = o.compute(ctx, p, b.Definition)
	}
	p.Findings = merge(p.Builds, p.Config.Allow)
}

// compute selects a definition's files and looks for what is wrong with them.
func (o *Opener) compute(ctx context.Context, p *Picture, def buildctx.Definition) *Build {
	b := &Build{Definition: def}
	s, err := buildctx.Compute(ctx, def, o.Resolver, p.view)
	if err != nil {
		b.Problem = p.problem(def, err)
		return b
	}
	b.Selection = s
	for _, l := range s.Locals() {
		if l.Root == "" {
			continue
		}
		list := findings(s, l, p.Config.Budget)
		list = append(list, o.Secrets.findings(ctx, s, l)...)
		for _, f := range list {
			f.Definition = def.Name
			f.Path = p.Relative(filepath.Join(l.Root, filepath.FromSlash(f.Path)))
			if f.Fingerprint == "" {
				f.Fingerprint = fingerprint(f.Rule, f.Path)
			}
			b.findings = append(b.findings, f)
		}
	}
	return b
}

// problem puts an error of a definition into words, with paths relative to the
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
		if def.Origin != "" {
			problem.Hint = "mend the context in " + def.Origin
		}
	}
	problem.Text = strings.ReplaceAll(problem.Text, p.Root+string(filepath.Separator), "")
	return problem
}

// redefines reports whether what changed may change the definitions, or what
// is pruned, so that only a fresh look will do.
func (o *Opener) redefines(p *Picture, changed map[string][]string, diffs map[string]buildctx.Diff) bool {
	ignoreFiles := map[string]bool{filepath.Join(p.Root, config.FileName): true}
	for _, d := range p.definitions() {
		files := ignore.Candidates(d.Context, d.Dockerfile)
		for _, dir := range d.LocalContexts() {
			files = append(files, filepath.Join(dir, ".dockerignore"))
		}
		for _, file := range files {
			ignoreFiles[file], ignoreFiles[realPath(file)] = true, true
		}
	}
	for root, diff := range diffs {
		for _, list := range [][]string{diff.Added, diff.Removed, diff.Changed, changed[root]} {
			for _, name := range list {
				abs := filepath.Join(root, filepath.FromSlash(name))
				if ignoreFiles[abs] || p.Discovery.Concerns(abs) && !p.isDockerfile(abs, diff) {
					return true
				}
			}
		}
	}
	return false
}

// isDockerfile reports whether abs is the Dockerfile of a known definition and
// still is there: then only its content is new.
func (p *Picture) isDockerfile(abs string, diff buildctx.Diff) bool {
	for _, d := range p.definitions() {
		if d.Dockerfile == abs && d.Origin != "" && !p.inferred(d) {
			return len(diff.Added) == 0 && len(diff.Removed) == 0
		}
	}
	return false
}

// concerns reports whether the changes can change what b is.
func concerns(p *Picture, b *Build, diffs map[string]buildctx.Diff) bool {
	if b.Selection == nil {
		for _, diff := range diffs {
			if !diff.Empty() {
				return true // whatever it was may be mended
			}
		}
		return false
	}
	for root, diff := range diffs {
		for _, list := range [][]string{diff.Added, diff.Removed, diff.Changed} {
			for _, name := range list {
				if b.touches(filepath.Join(root, filepath.FromSlash(name))) {
					return true
				}
			}
		}
	}
	return false
}

// touches reports whether the file at abs is the Dockerfile or lies in one of
// the contexts and is not ignored, or is there for what lies below it.
func (b *Build) touches(abs string) bool {
	if b.isDockerfile(abs) {
		return true
	}
	for _, l := range b.Selection.Locals() {
		if l.Root == "" {
			continue
		}
		root, err := filepath.EvalSymlinks(l.Root)
		if err != nil {
			return true
		}
		rel, ok := within(root, abs)
		if !ok {
			continue
		}
		if _, listed := l.Lookup(rel); listed || !l.Ignores(rel) {
			return true
		}
	}
	return false
}

// isDockerfile reports whether abs is b's Dockerfile, by any name that BuildKit
// would find it by.
func (b *Build) isDockerfile(abs string) bool {
	name := b.Definition.Dockerfile
	lower := filepath.Join(filepath.Dir(name), "dockerfile")
	return abs == name || abs == realPath(name) || filepath.Base(name) == "Dockerfile" && (abs == lower || abs == realPath(lower))
}

// realPath returns name with links resolved, as changes name files; for one that
// is not there at least those of its directory.
func realPath(name string) string {
	if resolved, err := filepath.EvalSymlinks(name); err == nil {
		return resolved
	}
	if dir, err := filepath.EvalSymlinks(filepath.Dir(name)); err == nil {
		return filepath.Join(dir, filepath.Base(name))
	}
	return name
}
