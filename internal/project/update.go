package project

import (
	"context"
	"iter"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/context/ignore"
	"github.com/stokerd/stoker/internal/config"
	"github.com/stokerd/stoker/internal/discover"
)

// Update returns the picture after paths have changed. These are given by root, and relative
// to it. A root with no paths is read completely, and all roots are if old is stale. If
// nothing that matters changed, Update returns old itself, or a picture with its Sequence.
func (o *Opener) Update(ctx context.Context, old *Picture, changed map[string][]string) (*Picture, error) {
	next := *old
	next.Sequence++
	if old.Stale() {
		return o.reopen(ctx, &next)
	}
	next.trees = map[string]*buildctx.Tree{}
	diffs := map[string]buildctx.Diff{}
	touched := false
	for root, tree := range old.trees {
		paths, named := changed[root]
		after, diff, err := apply(ctx, tree, paths, named, old.pruners[root])
		if err != nil && root != old.Root && ctx.Err() == nil {
			return o.reopen(ctx, &next) // a context outside the repository is gone
		}
		if err != nil {
			return nil, err
		}
		next.trees[root], diffs[root] = after, diff
		touched = touched || !diff.Empty() || len(paths) > 0
	}
	stale := touched && (o.redefines(&next, changed, diffs) || next.relinked())
	if !stale && old.mayRedefine(&next, changed, diffs[old.Root]) {
		var err error
		if stale, err = o.redefined(ctx, old); err != nil {
			return nil, err
		}
	}
	if stale {
		return o.reopen(ctx, &next)
	}
	if !touched {
		return old, nil
	}
	if _, named := changed[old.Root]; named && movesHead(changed[old.Root]) {
		o.readHead(ctx, &next)
	}
	next.Files = countFiles(next.trees)
	next.Builds = slices.Clone(old.Builds)
	touched = false
	for i, b := range old.Builds {
		next.Builds[i] = o.update(ctx, &next, b, diffs)
		touched = touched || next.Builds[i] != b
	}
	if touched && next.lacksTree() {
		return o.reopen(ctx, &next)
	}
	if touched {
		next.Findings = merge(next.Builds, next.Config.Allow)
	} else if next.Head == old.Head {
		// No build takes what changed, so nobody needs to look at this picture.
		next.Sequence = old.Sequence
	}
	return &next, ctx.Err()
}

// update returns b after the changes, or b itself if they do not concern it.
func (o *Opener) update(ctx context.Context, p *Picture, b *Build, diffs map[string]buildctx.Diff) *Build {
	if b.Selection == nil {
		for _, diff := range diffs {
			if !diff.Empty() {
				return o.compute(ctx, p, b.Definition) // the problem may be gone
			}
		}
		return b
	}
	if b.readsOf(diffs) || !b.Selection.Current(ctx, o.Resolver) {
		return o.compute(ctx, p, b.Definition)
	}
	return o.follow(ctx, p, b)
}

// reopen reads everything again, and returns the picture that comes after p.
func (o *Opener) reopen(ctx context.Context, p *Picture) (*Picture, error) {
	return o.open(ctx, &Picture{
		Root: p.Root, Sequence: p.Sequence, Defined: p.Sequence, Allowed: p.Allowed, adHoc: p.adHoc, trees: p.trees,
	})
}

// movesHead reports whether the HEAD of git may have changed with the paths. No paths at all
// mean that anything may have changed.
func movesHead(paths []string) bool {
	return len(paths) == 0 || slices.ContainsFunc(paths, func(name string) bool {
		return name == "." || below(".git", name)
	})
}

// mayRedefine reports whether the definitions may have changed although none of the files
// that define them is among the paths. There are three cases: it is not known what changed;
// files came or went from whose existence a context was inferred; or a folder is among the
// paths that has or had a file that defines builds. Such a folder may have come or gone after
// p's definitions were read and before p's tree was, so that it is not in the diff.
func (p *Picture) mayRedefine(next *Picture, changed map[string][]string, diff buildctx.Diff) bool {
	paths, named := changed[p.Root]
	if named && len(paths) == 0 {
		return true
	}
	tree := next.trees[p.Root]
	if !diff.Empty() && p.Discovery.Outdated(moved(p.trees[p.Root], tree, diff)) {
		return true
	}
	return tree != nil && slices.ContainsFunc(paths, func(name string) bool {
		if e, ok := tree.Lookup(name); ok && !e.Mode.IsDir() {
			return false
		}
		inside := filepath.Join(p.Root, filepath.FromSlash(name)) + string(filepath.Separator)
		if slices.ContainsFunc(p.Discovery.Files, func(file string) bool { return strings.HasPrefix(file, inside) }) {
			return true
		}
		for e := range tree.Below(name) {
			if p.Discovery.Concerns(filepath.Join(p.Root, filepath.FromSlash(e.Path))) {
				return true
			}
		}
		return false
	})
}

// moved yields the entries of a diff: removed ones as they were, others as they are.
func moved(old, next *buildctx.Tree, diff buildctx.Diff) iter.Seq[buildctx.Entry] {
	return func(yield func(buildctx.Entry) bool) {
		for _, name := range diff.Removed {
			if e, ok := old.Lookup(name); ok && !yield(e) {
				return
			}
		}
		for _, name := range slices.Concat(diff.Added, diff.Changed) {
			if e, ok := next.Lookup(name); ok && !yield(e) {
				return
			}
		}
	}
}

// redefined reports whether the configuration or the definitions on disk differ from p's.
func (o *Opener) redefined(ctx context.Context, p *Picture) (bool, error) {
	now := &Picture{Root: p.Root, Allowed: p.Allowed, adHoc: p.adHoc}
	if err := o.define(ctx, now); err != nil {
		return false, err
	}
	return !reflect.DeepEqual(now.Config, p.Config) || !reflect.DeepEqual(now.Discovery, p.Discovery), nil
}

// inferred reports whether the context of d was inferred from what its Dockerfile copies.
func (p *Picture) inferred(d buildctx.Definition) bool {
	return d.Origin != "" && d.Origin == p.Relative(d.Dockerfile) && filepath.Dir(d.Dockerfile) != p.Root
}

// apply returns the tree after the paths have changed, or all of it if there are none. It is
// the same tree unless named says that the root was given.
func apply(ctx context.Context, tree *buildctx.Tree, paths []string, named bool, pr *pruner) (*buildctx.Tree, buildctx.Diff, error) {
	if !named {
		return tree, buildctx.Diff{}, nil
	}
	if len(paths) == 0 {
		paths = []string{"."}
	}
	return tree.Apply(ctx, paths, pr.start())
}

// redefines reports whether the changed paths may change the definitions, or what is pruned,
// so that the picture has to be made from the start.
func (o *Opener) redefines(p *Picture, changed map[string][]string, diffs map[string]buildctx.Diff) bool {
	ignoreFiles := map[string]bool{filepath.Join(p.Root, config.FileName): true}
	for _, d := range p.definitions() {
		files := ignore.Candidates(d.Context, d.Dockerfile)
		for _, dir := range d.LocalContexts() {
			files = append(files, filepath.Join(dir, ".dockerignore"))
		}
		for _, file := range files {
			for _, place := range discover.Places(file) {
				ignoreFiles[place] = true
			}
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

// isDockerfile reports whether abs is the Dockerfile of a known definition of which only the
// content changed, which does not change definitions. It is false for a symbolic link, which
// may lead to another file now, for a Dockerfile from which a context was inferred, and for one
// that went between the reading of the definitions and that of the tree.
func (p *Picture) isDockerfile(abs string, diff buildctx.Diff) bool {
	is := false
	for _, d := range p.definitions() {
		switch {
		case d.Origin == "":
		case p.inferred(d):
			if slices.Contains(discover.Places(d.Dockerfile), abs) {
				return false
			}
		case d.Dockerfile == abs:
			is = len(diff.Added) == 0 && len(diff.Removed) == 0 && len(discover.Places(abs)) == 1 && !p.lacks(abs)
		}
	}
	return is
}

// lacks reports whether a file that would be in one of p's trees is in none.
func (p *Picture) lacks(file string) bool {
	lacks := false
	for root, tree := range p.trees {
		if rel, ok := within(root, file); ok {
			if _, ok := tree.Lookup(rel); ok {
				return false
			}
			lacks = true
		}
	}
	return lacks
}

// readsOf reports whether a Dockerfile that b is made from is in the diffs.
func (b *Build) readsOf(diffs map[string]buildctx.Diff) bool {
	for _, file := range dockerfilesOf(b.Definition) {
		for root, diff := range diffs {
			rel, ok := within(root, file)
			if ok && (slices.Contains(diff.Added, rel) || slices.Contains(diff.Removed, rel) || slices.Contains(diff.Changed, rel)) {
				return true
			}
		}
	}
	return false
}

// dockerfilesOf returns the paths of d's Dockerfile, under each name that BuildKit tries, and
// of those of the builds whose results d uses. It includes what symbolic links lead through.
func dockerfilesOf(d buildctx.Definition) []string {
	name := d.Dockerfile
	names := discover.Places(name)
	if filepath.Base(name) == "Dockerfile" {
		lower := filepath.Join(filepath.Dir(name), "dockerfile")
		names = append(names, discover.Places(lower)...)
	}
	for _, linked := range d.Linked {
		names = append(names, dockerfilesOf(linked)...)
	}
	return names
}
