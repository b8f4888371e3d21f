package project

import (
	"context"
	"path/filepath"
	"reflect"
	"slices"

	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/context/ignore"
	"github.com/stokerd/stoker/internal/config"
	"github.com/stokerd/stoker/internal/discover"
)

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
	found, err := discover.Discover(ctx, p.Root, p.Config, discover.Options{Env: o.Env})
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
