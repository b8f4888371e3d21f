package project

import (
	"context"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"

	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/config"
	"github.com/stokerd/stoker/internal/discover"
	"github.com/stokerd/stoker/internal/git"
)

// A Picture is a repository at one moment. It is immutable and safe for
// concurrent use.
type Picture struct {
	Root      string // absolute, links resolved
	Sequence  uint64 // grows with each picture of a repository
	Defined   uint64 // sequence of the picture whose definitions these are
	Allowed   bool
	Head      git.Head // zero where there is no git
	Config    config.Config
	Discovery discover.Result
	// Builds are the definitions in their order, each with its selection or
	// the reason why there is none.
	Builds   []*Build
	Findings []Finding
	// Files counts the files in the picture.
	Files int

	trees   map[string]*buildctx.Tree // by root: the repository's, and contexts outside it
	pruners map[string]*pruner        // by root
	outside outside
	adHoc   []buildctx.Definition
	texts   map[string][]byte // of files that are not taken from the disk: see With
}

// A Build is a definition with what it takes. Exactly one of Selection and
// Problem is set.
type Build struct {
	Definition buildctx.Definition
	Selection  *buildctx.Selection
	Problem    *Problem

	findings []Finding
	found    []found // of each local context, from which the findings are
}

// A Problem is something that keeps a definition, or the repository, from being
// computed. It mends itself when the input does.
type Problem struct {
	Text string // what and where: "api/Dockerfile:7: unknown instruction: COPPY"
	Hint string // the mend; may be empty
}

// Find returns the build with the given name.
func (p *Picture) Find(name string) (*Build, bool) {
	i := slices.IndexFunc(p.Builds, func(b *Build) bool { return b.Definition.Name == name })
	if i < 0 {
		return nil, false
	}
	return p.Builds[i], true
}

// Names returns the names of the builds, in order.
func (p *Picture) Names() []string {
	names := make([]string, len(p.Builds))
	for i, b := range p.Builds {
		names[i] = b.Definition.Name
	}
	return names
}

// Relative returns name relative to the repository, slash-separated; a path
// outside it starts with "../".
func (p *Picture) Relative(name string) string {
	rel, err := filepath.Rel(p.Root, name)
	if err != nil {
		return filepath.ToSlash(name)
	}
	return filepath.ToSlash(rel)
}

// view finds the tree that shows dir.
func (p *Picture) view(dir string) (*buildctx.Tree, string, error) {
	resolved, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, "", &outsideError{dir}
	}
	for root, tree := range p.trees {
		if sub, ok := within(root, resolved); ok {
			return tree, sub, nil
		}
	}
	return nil, "", &outsideError{dir}
}

// Moved returns the files that are not on the disk as p shows them, of which no event tells,
// as [Opener.Update] takes them. The work follows the number of those looked at.
func (p *Picture) Moved() map[string][]string {
	moved := map[string][]string{}
	for _, b := range p.Builds {
		if b.Selection == nil {
			continue
		}
		for _, l := range append([]buildctx.Local{b.Selection.Main}, b.Selection.Named...) {
			names := slices.Collect(l.Moved())
			if len(names) == 0 {
				continue
			}
			tree, sub, err := p.view(l.Root)
			if err != nil {
				continue
			}
			for _, name := range names {
				moved[tree.Root()] = append(moved[tree.Root()], path.Join(sub, name))
			}
		}
	}
	return moved
}

// Ignored counts the files in the folder dir of l, relative to its root, that
// the ignore file leaves out, and returns the folders in there (dir itself, if
// it is one) that were not looked into, as no build needs anything of them.
func (p *Picture) Ignored(l buildctx.Local, dir string) (files int, unread []string) {
	tree, sub, err := p.view(l.Root)
	if err != nil {
		return 0, nil
	}
	at := path.Join(sub, dir)
	if e, ok := tree.Lookup(at); ok && e.Pruned {
		return 0, []string{dir}
	}
	for e := range tree.Below(at) {
		name := strings.TrimPrefix(e.Path, strings.TrimPrefix(sub+"/", "./"))
		switch {
		case e.Pruned:
			unread = append(unread, name)
		case !e.Mode.IsDir() && l.Ignores(name):
			files++
		}
	}
	return files, unread
}

// Sent returns what a request brings whose ignore patterns are those of the
// build's own. An error is a directory that is not there or cannot be read, or
// ctx's.
func (p *Picture) Sent(ctx context.Context, b *Build, r dockerfile.Request) (buildctx.SentDir, error) {
	s := b.Selection
	i := slices.IndexFunc(s.Locals(), func(l buildctx.Local) bool { return l.Name == r.Local })
	if i < 0 {
		return buildctx.SentDir{}, fmt.Errorf("local context %q: %w", r.Local, fs.ErrNotExist)
	}
	local := s.Locals()[i]
	own := slices.DeleteFunc(slices.Clone(s.Plan.Requests), func(other dockerfile.Request) bool { return other.Local != r.Local })
	if len(own) == 1 && slices.Equal(own[0].FollowPaths, r.FollowPaths) {
		return local.Top(), nil
	}
	// The selection is of something else, or of more than this.
	tree, sub, err := p.view(local.Root)
	if err != nil {
		return buildctx.SentDir{}, err
	}
	below, ok := tree.Sub(sub)
	if !ok {
		return buildctx.SentDir{}, &outsideError{local.Root}
	}
	return below.Sent(ctx, r)
}

// outsideError is a context that no tree shows: it came to be since the
// definitions were read.
type outsideError struct{ dir string }

func (e *outsideError) Error() string { return "build context " + e.dir + " is not in the picture" }

// within returns name relative to dir if it lies in there.
func within(dir, name string) (string, bool) {
	rel, err := filepath.Rel(dir, name)
	if err != nil || rel == ".." || strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return "", false
	}
	return filepath.ToSlash(rel), true
}

// Trees yields what was found in each of [Picture.Roots].
func (p *Picture) Trees() iter.Seq2[string, *buildctx.Tree] { return maps.All(p.trees) }

// Roots returns the directories that a picture shows: the repository and the
// contexts outside it.
func (p *Picture) Roots() []string {
	var roots []string
	for root := range p.trees {
		roots = append(roots, root)
	}
	slices.Sort(roots)
	return roots
}
