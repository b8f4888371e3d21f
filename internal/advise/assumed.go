package advise

import (
	"context"
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"

	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/internal/checkout"
	"github.com/stokerd/stoker/internal/project"
)

// Assuming returns h with what the history cannot tell of the files that builds take, for the
// reader: what git does not track counts as unchanging, a submodule changes as a whole, and what
// Git LFS did not fetch is small.
func (h History) Assuming(ctx context.Context, p *project.Picture, builds []*project.Build) (History, error) {
	if h.Commits.Len() == 0 || h.repo == nil || h.Commits.IsSaves() {
		return h, nil
	}
	work, err := checkout.OpenNames(ctx, h.repo)
	if err != nil {
		return h, fmt.Errorf("read what git tracks: %w", err)
	}
	var list []string
	if names := modules(h, p, builds); len(names) > 0 {
		list = append(list, "each commit of the "+plural("submodule", names)+" counts as a change of all its files")
	}
	if names := untracked(work, p, builds); len(names) > 0 {
		what := "counts as never changing, as it is"
		if len(names) > 1 {
			what = "count as never changing, as they are"
		}
		list = append(list, series(names)+" "+what+" not in git's history")
	}
	if names := unfetched(p, builds); len(names) > 0 {
		what := "counts with the size of its pointer"
		if len(names) > 1 {
			what = "count with the sizes of their pointers"
		}
		list = append(list, series(names)+" "+what+": Git LFS has not fetched the content")
	}
	h.Assumed = strings.Join(list, "; ")
	return h, nil
}

// note returns all that is to be told of the history.
func (h History) note() string {
	return strings.TrimPrefix(strings.TrimSuffix(h.Note+"; "+h.Assumed, "; "), "; ")
}

// modules returns the submodules in h of which a build takes something.
func modules(h History, p *project.Picture, builds []*project.Build) (list []string) {
	for _, name := range h.Commits.Paths() {
		dir, ok := strings.CutSuffix(name, "/")
		if ok && slices.ContainsFunc(builds, func(b *project.Build) bool {
			if b.Selection == nil {
				return false
			}
			of, err := takers(p, b.Selection, b.Selection.Plan, nil)
			return err == nil && len(of(name)) > 0
		}) {
			list = append(list, dir)
		}
	}
	slices.Sort(list)
	return list
}

// untracked returns what the builds take and git does not track: files, and folders of which it
// tracks nothing, or that lie elsewhere, with a slash at their end.
func untracked(work *checkout.Work, p *project.Picture, builds []*project.Build) []string {
	found := map[string]bool{}
	for root, tree := range p.Trees() {
		root := p.Relative(root)
		for f := range tree.All() {
			name := path.Join(root, f.Path)
			if f.Mode.IsDir() || slices.Contains(strings.Split(f.Path, "/"), ".git") || work.Tracks(name) {
				continue
			}
			at := root + "/" // all of it is elsewhere
			if filepath.IsLocal(root) {
				at = name
				for dir := path.Dir(name); !work.TracksBelow(dir); dir = path.Dir(dir) {
					at = dir + "/"
				}
			}
			if !found[at] && anyTakes(p, builds, name) {
				found[at] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// anyTakes reports whether one of builds takes the file at name, relative to the repository.
func anyTakes(p *project.Picture, builds []*project.Build, name string) bool {
	return slices.ContainsFunc(builds, func(b *project.Build) bool {
		return b.Selection != nil && slices.ContainsFunc(b.Selection.Locals(), func(l buildctx.Local) bool {
			if l.Root == "" {
				return false
			}
			rel, ok := strings.CutPrefix("/"+name, strings.TrimSuffix("/"+p.Relative(l.Root), "/.")+"/")
			if !ok {
				return false
			}
			f, ok := l.Lookup(rel)
			return ok && len(f.Steps) > 0
		})
	})
}

// mostTold is how many names a note lists.
const mostTold = 3

// series joins names to a list, of which it has the first ones if there are many.
func series(names []string) string {
	if n := len(names) - mostTold; n > 1 {
		names = append(slices.Clone(names[:mostTold]), fmt.Sprint(n, " more"))
	}
	if n := len(names); n > 1 {
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
	return names[0]
}

// plural returns a noun with the names of what it stands for.
func plural(noun string, names []string) string {
	if len(names) > 1 {
		noun += "s"
	}
	return noun + " " + series(names)
}
