package project

import (
	"context"
	"maps"
	"path/filepath"

	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/internal/checkout"
	"github.com/stokerd/stoker/internal/git"
)

// At returns a picture of p's definitions with the files of a commit, including its
// Dockerfiles and ignore files. Contexts outside the repository are as in p. The picture
// has no findings.
func (o *Opener) At(ctx context.Context, p *Picture, c *checkout.Checkout) *Picture {
	at := &Picture{
		Root: p.Root, Sequence: p.Sequence, Defined: p.Defined, Allowed: p.Allowed, Config: p.Config, Discovery: p.Discovery,
		Files: c.Tree.Files(), adHoc: p.adHoc, trees: maps.Clone(p.trees),
	}
	maps.DeleteFunc(at.trees, func(root string, _ *buildctx.Tree) bool { _, inside := within(p.Root, root); return inside })
	at.trees[p.Root] = c.Tree
	read := func(name string) ([]byte, error) {
		// Resolve links on the way to the repository, but leave the last element to the
		// commit, in which it may be a link.
		if dir, err := filepath.EvalSymlinks(filepath.Dir(name)); err == nil {
			name = filepath.Join(dir, filepath.Base(name))
		}
		return c.ReadFile(ctx, name)
	}
	for _, b := range p.Builds {
		next := &Build{Definition: b.Definition}
		s, err := buildctx.ComputeFrom(ctx, b.Definition, o.Resolver, at.view, read)
		if err != nil {
			next.Problem = p.problem(b.Definition, err)
		} else {
			next.Selection = s
		}
		at.Builds = append(at.Builds, next)
	}
	return at
}

// A Comparison has the same definitions in two states of a repository.
type Comparison struct {
	From, To Side
	Work     *checkout.Work // nil unless To is the work tree
}

// A Side is one of the states: a commit, or the work tree.
type Side struct {
	Ref      string             // as the user wrote it; "" for the work tree
	Checkout *checkout.Checkout // nil for the work tree
	Picture  *Picture
}

// Compare makes pictures of p's definitions at the commits that from and to name. If to is
// "", it is the work tree, of which p is the picture. Errors are those of [git.Open], and
// [git.ErrMissing] for a name that is not of a commit.
func (o *Opener) Compare(ctx context.Context, p *Picture, from, to string) (*Comparison, error) {
	repo, err := git.Open(ctx, p.Root)
	if err != nil {
		return nil, err
	}
	c := &Comparison{From: Side{Ref: from}, To: Side{Ref: to, Picture: p}}
	if to == "" {
		if c.Work, err = checkout.OpenWork(ctx, repo); err != nil {
			return nil, err
		}
	} else if c.To.Checkout, err = checkout.Open(ctx, repo, to, nil); err != nil {
		return nil, err
	} else {
		c.To.Picture = o.At(ctx, p, c.To.Checkout)
	}
	if c.From.Checkout, err = checkout.Open(ctx, repo, from, c.Work); err != nil {
		return nil, err
	}
	c.From.Picture = o.At(ctx, p, c.From.Checkout)
	return c, ctx.Err()
}
