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

// Update returns the picture after the given paths, by root and relative to it,
// have changed; a root without paths is scanned anew, and so are all if old is
// stale. If nothing that matters has changed, old itself is returned.
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
		after, diff, err := again(ctx, tree, paths, named, old.pruners[root])
		if err != nil && root != old.Root && ctx.Err() == nil {
			return o.reopen(ctx, &next) // a context outside the repository is gone
		}
		if err != nil {
			return nil, err
		}
		next.trees[root], diffs[root] = after, diff
		touched = touched || !diff.Empty() || len(paths) > 0
	}
	stale := touched && o.redefines(&next, changed, diffs)
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
	if touched {
		next.Findings = merge(next.Builds, next.Config.Allow)
	} else if next.Head == old.Head {
		// What changed is in no build: readers keep what they have.
		next.Sequence = old.Sequence
	}
	return &next, ctx.Err()
}

// update returns b as it is after the changes, itself if they do not concern it.
func (o *Opener) update(ctx context.Context, p *Picture, b *Build, diffs map[string]buildctx.Diff) *Build {
	if b.Selection == nil {
		for _, diff := range diffs {
			if !diff.Empty() {
				return o.compute(ctx, p, b.Definition) // whatever it was may be mended
			}
		}
		return b
	}
	if b.readsOf(diffs) || !b.Selection.Current(ctx, o.Resolver) {
		return o.compute(ctx, p, b.Definition)
	}
	return o.follow(ctx, p, b)
}

// reopen looks at everything anew, as the successor of p.
func (o *Opener) reopen(ctx context.Context, p *Picture) (*Picture, error) {
	return o.open(ctx, &Picture{
		Root: p.Root, Sequence: p.Sequence, Defined: p.Sequence, Allowed: p.Allowed, adHoc: p.adHoc, trees: p.trees,
	})
}

// movesHead reports whether one of the paths may say where git stands; no path
// at all stands for all of them.
func movesHead(paths []string) bool {
	return len(paths) == 0 || slices.ContainsFunc(paths, func(name string) bool {
		return name == "." || below(".git", name)
	})
}

// mayRedefine reports whether the definitions may be others although no file that
// says so was named: nothing is known of what changed; files came or went that a
// context was inferred from; or a folder is named that holds such a file or held one.
// It may have come or gone as a whole after p's definitions were looked for and
// before p's tree was read, which the diff does not show.
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

// moved yields what came, went, or is a link that leads elsewhere.
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

// redefined reports whether the configuration or the definitions on disk are
// others than p's.
func (o *Opener) redefined(ctx context.Context, p *Picture) (bool, error) {
	now := &Picture{Root: p.Root, Allowed: p.Allowed, adHoc: p.adHoc}
	if err := o.define(ctx, now); err != nil {
		return false, err
	}
	return !reflect.DeepEqual(now.Config, p.Config) || !reflect.DeepEqual(now.Discovery, p.Discovery), nil
}

// inferred reports whether d's context was inferred from its Dockerfile.
func (p *Picture) inferred(d buildctx.Definition) bool {
	return d.Origin != "" && d.Origin == p.Relative(d.Dockerfile) && filepath.Dir(d.Dockerfile) != p.Root
}

// again looks at the disk again if root was named: at the paths, or at all if
// there are none.
func again(ctx context.Context, tree *buildctx.Tree, paths []string, named bool, pr *pruner) (*buildctx.Tree, buildctx.Diff, error) {
	if !named {
		return tree, buildctx.Diff{}, nil
	}
	if len(paths) == 0 {
		paths = []string{"."}
	}
	return tree.Apply(ctx, paths, pr.start())
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

// isDockerfile reports whether abs is the Dockerfile of a known definition and
// still is there: then only its content is new. One that is a link may lead
// elsewhere now, which has to be watched; one that a link leads to may say where the
// context of another definition is.
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
			is = len(diff.Added) == 0 && len(diff.Removed) == 0 && len(discover.Places(abs)) == 1
		}
	}
	return is
}

// readsOf reports whether a Dockerfile that b is converted from is among what
// changed.
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

// dockerfilesOf lists d's Dockerfile, by any name that BuildKit would find it by,
// and those of the builds that it starts from.
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
