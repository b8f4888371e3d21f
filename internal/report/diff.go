package report

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/git"
	"github.com/stokerd/stoker/internal/project"
)

// NoCommit returns an error of [project.Opener.Compare] as an *api.Error if the user can
// do something about it, else as it is.
func NoCommit(err error) error {
	e := &api.Error{Code: api.BadInput, Message: err.Error()}
	switch {
	case errors.Is(err, git.ErrMissing):
		e.Message = strings.TrimSuffix(err.Error(), ": "+git.ErrMissing.Error()) + " is no commit of this repository"
		e.Hint = "name a branch, a tag or a commit; in a shallow clone, `git fetch --unshallow` brings the others"
	case errors.Is(err, git.ErrNotRepository):
		e.Hint = "context diff compares with a commit: run it in a git repository"
	case errors.Is(err, git.ErrNoGit), errors.Is(err, git.ErrUnsafe):
	default:
		return err
	}
	return e
}

// ContextDiff reports how the contexts of builds differ between the two sides of c. The
// builds are given by those of the work tree's picture. It may read files from the disk. A
// file that cannot be compared is an error.
func ContextDiff(c *project.Comparison, builds []*project.Build) (api.ContextDiff, error) {
	out := api.ContextDiff{Schema: api.ContextDiffSchema, From: side(c.From), To: side(c.To), Definitions: []api.ContextDiffDefinition{}}
	for _, s := range []project.Side{c.From, c.To} {
		if s.Checkout != nil {
			for _, n := range s.Checkout.Notes {
				out.Notes = append(out.Notes, readable(n))
			}
		}
	}
	out.Notes = slices.Compact(out.Notes)
	for _, b := range builds {
		d, err := definitionDiff(c, b.Definition.Name)
		if err != nil {
			return out, err
		}
		out.Definitions = append(out.Definitions, d)
	}
	return out, nil
}

func side(s project.Side) api.DiffSide {
	d := api.DiffSide{Ref: readable(s.Ref)}
	if s.Checkout != nil {
		d.Commit = s.Checkout.Commit
	}
	return d
}

// definitionDiff compares the contexts of one definition.
func definitionDiff(c *project.Comparison, name string) (api.ContextDiffDefinition, error) {
	out := api.ContextDiffDefinition{Name: name, Changes: []api.DiffEntry{}, Untracked: []api.DiffFolder{}}
	from, _ := c.From.Picture.Find(name)
	to, _ := c.To.Picture.Find(name)
	for _, s := range []struct {
		side  project.Side
		build *project.Build
	}{{c.To, to}, {c.From, from}} {
		if p := s.build.Problem; p != nil {
			out.Problem, out.Hint = readable(p.Text), p.Hint
			if s.side.Checkout != nil {
				out.Problem = fmt.Sprintf("at %s: %s", readable(s.side.Ref), readable(p.Text))
				out.Hint = "definitions are those of today: compare with a commit that has the files that they name"
			}
			return out, nil
		}
	}
	if to.Definition.Remote() {
		out.Problem = "the build context is remote: there is nothing of this repository to compare"
	} else {
		main, err := localDiff(c, from.Selection.Main, to.Selection.Main)
		if err != nil {
			return out, err
		}
		out.Context, out.Sent, out.Changes, out.Untracked, out.Problem = main.Context, main.Sent, main.Changes, main.Untracked, main.Problem
	}
	for _, pair := range namedLocals(from.Selection, to.Selection) {
		named, err := localDiff(c, pair[0], pair[1])
		if err != nil {
			return out, err
		}
		out.Named = append(out.Named, named)
	}
	return out, nil
}

// namedLocals pairs the named contexts of two selections by name. One that a selection does
// not have is zero.
func namedLocals(from, to *buildctx.Selection) [][2]buildctx.Local {
	both := map[string][2]buildctx.Local{}
	for i, s := range []*buildctx.Selection{from, to} {
		for _, l := range s.Named {
			pair := both[l.Name]
			pair[i] = l
			both[l.Name] = pair
		}
	}
	var list [][2]buildctx.Local
	for _, name := range slices.Sorted(maps.Keys(both)) {
		list = append(list, both[name])
	}
	return list
}

// localDiff compares the two states of one context, of which one may be zero.
func localDiff(c *project.Comparison, from, to buildctx.Local) (api.ContextDiffNamed, error) {
	l := to
	if l.Root == "" {
		l = from
	}
	d := differ{
		c: c, dir: c.To.Picture.Relative(l.Root), both: from.Root != "" && to.Root != "",
		out: api.ContextDiffNamed{Name: l.Name, Changes: []api.DiffEntry{}, Untracked: []api.DiffFolder{}},
	}
	if !filepath.IsLocal(d.dir) {
		what := "the build context"
		if l.Name != dockerfile.MainContext {
			what = "it"
		}
		d.out.Problem = what + " lies outside the repository: git knows nothing of it"
		return d.out, nil
	}
	err := d.compare(from, to)
	return d.out, err
}

// A differ compares one local context.
type differ struct {
	c    *project.Comparison
	dir  string // the context, relative to the repository
	both bool   // both sides have it
	out  api.ContextDiffNamed
}

// compare sets d.out. Files that git does not track are listed by folder, and do not count
// as changes, because a commit cannot have them.
func (d *differ) compare(from, to buildctx.Local) error {
	d.out.Context = api.SizeChange{From: size(from.Context)}
	d.out.Sent = api.SizeChange{From: size(from.Sent)}
	before := map[string]buildctx.File{}
	for f := range from.All() {
		if !f.Mode.IsDir() {
			before[f.Path] = f
		}
	}
	untracked := map[string]*api.DiffFolder{}
	for f := range to.All() {
		if f.Mode.IsDir() {
			continue
		}
		old, was := before[f.Path]
		if name := path.Join(d.dir, f.Path); !was && d.c.Work != nil && !d.c.Work.Tracks(name) && !d.c.From.Checkout.Has(name) {
			d.untracked(untracked, f)
			continue
		}
		d.sum(&d.out.Context.To, f)
		if f.Sent {
			d.sum(&d.out.Sent.To, f)
		}
		if !was {
			d.change(f.Path, "added", nil, &f)
			continue
		}
		delete(before, f.Path)
		what, err := d.differs(old, f)
		if err != nil {
			return err
		}
		if what != "" {
			d.change(f.Path, what, &old, &f)
		}
	}
	for _, f := range before {
		d.change(f.Path, "removed", &f, nil)
	}
	d.sort(untracked)
	return nil
}

func (d *differ) sum(s *api.Size, f buildctx.File) {
	s.Files++
	s.Bytes += f.Bytes
}

// differs returns what differs between the two states of a file: type, content, mode or
// sent; "" if nothing does.
func (d *differ) differs(old, f buildctx.File) (string, error) {
	name := path.Join(d.dir, f.Path)
	same, sameMode := false, true
	switch {
	case old.Mode.Type() != f.Mode.Type():
		return "type", nil
	case f.Mode&fs.ModeSymlink != 0:
		same = old.Link == f.Link
	case d.c.Work == nil:
		same, sameMode = d.c.From.Checkout.Same(d.c.To.Checkout, name), old.Mode == f.Mode
	default:
		var err error
		if same, err = d.c.Work.SameContent(d.c.From.Checkout, name); err != nil {
			return "", err
		}
		sameMode = d.c.Work.SameMode(d.c.From.Checkout, name, f.Mode)
	}
	switch {
	case !same:
		return "content", nil
	case !sameMode:
		return "mode", nil
	case old.Sent != f.Sent:
		return "sent", nil
	}
	return "", nil
}

// change adds a change of the file name; from or to is nil if that side does not have it. If
// the file exists on both sides of the repository, only the ignore file can be the cause.
func (d *differ) change(name, what string, from, to *buildctx.File) {
	e := api.DiffEntry{Path: readable(name), PathBytes: rawName(name), Change: what, From: diffFile(from), To: diffFile(to)}
	repoName := path.Join(d.dir, name)
	switch {
	case !d.both:
	case from == nil:
		e.Ignore = d.c.From.Checkout.Has(repoName)
	case to == nil && d.c.Work == nil:
		e.Ignore = d.c.To.Checkout.Has(repoName)
	case to == nil:
		_, err := os.Lstat(filepath.Join(d.c.To.Picture.Root, filepath.FromSlash(repoName)))
		e.Ignore = err == nil
	}
	d.out.Changes = append(d.out.Changes, e)
}

func diffFile(f *buildctx.File) *api.DiffFile {
	if f == nil {
		return nil
	}
	return &api.DiffFile{Size: f.Bytes, Sent: f.Sent}
}

// untracked adds f, which git does not track, to the topmost folder above it in which git
// tracks nothing, or lists it by itself if there is none.
func (d *differ) untracked(list map[string]*api.DiffFolder, f buildctx.File) {
	name := f.Path
	for i := range name {
		if name[i] == '/' && !d.c.Work.TracksBelow(path.Join(d.dir, name[:i])) {
			name = name[:i+1]
			break
		}
	}
	folder := list[name]
	if folder == nil {
		folder = &api.DiffFolder{Path: readable(name), PathBytes: rawName(name)}
		list[name] = folder
	}
	d.sum(&folder.Context, f)
	if f.Sent {
		d.sum(&folder.Sent, f)
	}
}

// sort sorts changes and untracked files by size, the largest first.
func (d *differ) sort(untracked map[string]*api.DiffFolder) {
	for _, f := range untracked {
		d.out.Untracked = append(d.out.Untracked, *f)
	}
	slices.SortFunc(d.out.Untracked, func(a, b api.DiffFolder) int {
		return cmp.Or(cmp.Compare(b.Context.Bytes, a.Context.Bytes), cmp.Compare(a.Path, b.Path))
	})
	weight := func(e api.DiffEntry) int64 { return max(Delta(e), -Delta(e)) }
	slices.SortFunc(d.out.Changes, func(a, b api.DiffEntry) int {
		return cmp.Or(cmp.Compare(weight(b), weight(a)), cmp.Compare(a.Path, b.Path))
	})
}

// Delta returns by how many bytes e makes the context larger.
func Delta(e api.DiffEntry) int64 {
	n := int64(0)
	if e.To != nil {
		n += e.To.Size
	}
	if e.From != nil {
		n -= e.From.Size
	}
	return n
}
