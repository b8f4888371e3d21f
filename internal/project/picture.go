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
	Root      string        // absolute, symbolic links resolved
	Sequence  uint64        // grows with each picture of a repository that differs
	Defined   uint64        // the Sequence at which the definitions were read
	Allowed   bool          // the user allowed the repository: see config.Merge
	Head      git.Head      // zero without git
	Config    config.Config // of the repository and the user, merged
	Discovery discover.Result
	Builds    []*Build  // the definitions, in their order
	Findings  []Finding // of all builds, the worst first
	Files     int       // number of files in the trees

	trees   map[string]*buildctx.Tree // of Root and of contexts outside it, by root
	pruners map[string]*pruner        // by root
	tried   []string                  // the roots of trees, and of those that could not be read
	outside outside
	adHoc   []buildctx.Definition // if any, the picture is of these alone
	texts   map[string][]byte     // of files that are not read from the disk, by path: see With
}

// A Build is a definition with the files that it takes. Exactly one of Selection and
// Problem is set.
type Build struct {
	Definition buildctx.Definition
	Selection  *buildctx.Selection
	Problem    *Problem

	findings []Finding // all those in found
	found    []found   // in the order of Selection.Locals
}

// A Problem says why a definition, or a repository, cannot be computed. The next picture
// does not have it if the cause is gone.
type Problem struct {
	Text string // what and where: "api/Dockerfile:7: unknown instruction: COPPY"
	Hint string // what the user can do; may be empty
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

// view returns the tree that has the directory dir, and its path in there. The error is
// an *outsideError if there is none.
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

// Moved returns files that changed on the disk without an event: see [buildctx.Local.Moved].
// The result is in the form that [Opener.Update] takes.
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

// Ignored returns the number of files in a folder of l that the ignore file excludes. dir
// is relative to the root of l. unread are the folders, which may include dir itself, whose
// files are not counted because they were not read: no build needs anything in them.
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

// Sent returns the files that a client sends for a request, which must have the ignore
// patterns of the build. It returns an error if the directory does not exist or cannot be
// read, or ctx's.
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
	// The selection is of other paths, or of more than these.
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

// outsideError is a context that is in no tree, because it did not exist when the trees
// were read.
type outsideError struct{ dir string }

func (e *outsideError) Error() string { return "build context " + e.dir + " is not in the picture" }

// within returns name relative to dir, slash-separated; false if it is not in there.
func within(dir, name string) (string, bool) {
	rel, err := filepath.Rel(dir, name)
	if err != nil || rel == ".." || strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return "", false
	}
	return filepath.ToSlash(rel), true
}

// Trees yields the tree of each of [Picture.Roots], in any order.
func (p *Picture) Trees() iter.Seq2[string, *buildctx.Tree] { return maps.All(p.trees) }

// Roots returns the directories that were read, sorted: the repository and the contexts
// outside it.
func (p *Picture) Roots() []string {
	var roots []string
	for root := range p.trees {
		roots = append(roots, root)
	}
	slices.Sort(roots)
	return roots
}
