package buildctx

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/context/ignore"
)

// Size is a number of files (all that is not a directory) and their bytes; the
// second name of a hard linked file adds no bytes.
type Size struct {
	Files int
	Bytes int64
}

// A Selection is what a definition takes of the files on this machine: what
// the ignore file leaves, what of it the builder asks for, and which step takes
// which file.
type Selection struct {
	Definition Definition
	Plan       *dockerfile.Plan
	// Main is the build context itself. Named are the named contexts that are
	// directories and that the build asks for.
	Main  Local
	Named []Local
}

// A Local is a selection of one directory.
type Local struct {
	Name   string // dockerfile.MainContext or the named context's
	Root   string // absolute; "" for a remote context
	Ignore *ignore.File
	// Context is the effective context, Sent what of it the builder asks for.
	Context, Sent Size

	files   []File           // the effective context, parents before children
	matcher *ignore.Matcher  // of Ignore
	takers  map[int][]*taker // by step
}

// A File is an entry of an effective context.
type File struct {
	Entry
	// Bytes is what the file adds: 0 for a directory, a link, and a further
	// name of a file that was listed before.
	Bytes int64
	Sent  bool
	Steps []int // indexes into Plan.Steps of the steps that take it
}

// Views finds the picture of a directory: the tree that holds it, and its place
// in there. Compute asks for each local context of a definition.
type Views func(dir string) (tree *Tree, sub string, err error)

// Compute converts the definition and selects its files out of the trees that
// views gives. What BuildKit would refuse is a [*dockerfile.Error] or an
// [*ignore.Error].
func Compute(ctx context.Context, def Definition, resolver dockerfile.Resolver, views Views) (*Selection, error) {
	main := def.Context
	if def.Remote() {
		main = ""
		if def.Inline == "" && !filepath.IsAbs(def.Dockerfile) {
			return nil, &dockerfile.Error{File: def.Dockerfile, Err: errors.New("lies in a remote context, which is not fetched")}
		}
	}
	ignored, err := ignore.Find(main, def.Dockerfile)
	if err != nil {
		return nil, err
	}
	plan, err := dockerfile.Convert(ctx, def.input(), resolver)
	if err != nil {
		return nil, err
	}
	s := &Selection{Definition: def, Plan: plan}
	s.Main = Local{Name: dockerfile.MainContext, Root: main, Ignore: ignored}
	if main != "" {
		if err := s.Main.fill(ctx, plan, views); err != nil {
			return nil, err
		}
	}
	local := def.LocalContexts()
	for _, name := range slices.Sorted(maps.Keys(local)) {
		dir := local[name]
		l := Local{Name: name, Root: dir}
		if l.Ignore, err = ignore.Find(dir, filepath.Join(dir, ".dockerignore")); err != nil {
			return nil, err
		}
		if len(requests(plan, name)) == 0 {
			continue
		}
		if err := l.fill(ctx, plan, views); err != nil {
			return nil, err
		}
		s.Named = append(s.Named, l)
	}
	return s, nil
}

func (d Definition) input() dockerfile.Input {
	in := dockerfile.Input{
		Dockerfile: d.Dockerfile, Context: d.Context, Target: d.Target, Args: d.Args,
		Platforms: d.Platforms, NamedContexts: d.NamedContexts,
	}
	if d.Inline != "" {
		in.Text = []byte(d.Inline)
	}
	if d.Remote() {
		in.Context, in.RemoteContext = "", d.Context
	}
	return in
}

// Convert has BuildKit's frontend read text as d's Dockerfile, with the images
// that it starts from assumed.
func (d Definition) Convert(ctx context.Context, text []byte) (*dockerfile.Plan, error) {
	in := d.input()
	in.Text = text
	return dockerfile.Convert(ctx, in, nil)
}

// Sent returns what the builder asks for over all contexts.
func (s *Selection) Sent() Size {
	total := s.Main.Sent
	for _, l := range s.Named {
		total.Files += l.Sent.Files
		total.Bytes += l.Sent.Bytes
	}
	return total
}

// Locals returns the build context and then the named ones.
func (s *Selection) Locals() []Local { return append([]Local{s.Main}, s.Named...) }

func requests(plan *dockerfile.Plan, local string) []dockerfile.Request {
	var list []dockerfile.Request
	for _, r := range plan.Requests {
		if r.Local == local {
			list = append(list, r)
		}
	}
	return list
}

// fill walks the local's tree through BuildKit's filter: once for the effective
// context, and once for each different request.
func (l *Local) fill(ctx context.Context, plan *dockerfile.Plan, views Views) error {
	tree, sub, err := views(l.Root)
	if err != nil {
		return err
	}
	top := tree.find(sub)
	if top == nil || top.dir == nil {
		return fmt.Errorf("build context %s: %w", l.Root, fs.ErrNotExist)
	}
	if l.matcher, err = ignore.NewMatcher(l.Ignore); err != nil {
		return err
	}
	files := &treeFS{top: top.dir, root: filepath.Join(tree.root, filepath.FromSlash(sub))}
	pass := filter{ctx: ctx, local: l, exclude: l.matcher, names: firstNames{}, sent: firstNames{}}
	for _, r := range requests(plan, l.Name) {
		m, err := includes(files, r.FollowPaths)
		if err != nil {
			return err
		}
		pass.include = append(pass.include, m)
	}
	if err := pass.run(top.dir); err != nil {
		return l.unreadable(err)
	}
	return l.assign(plan, files)
}

func (s *Size) add(e Entry, bytes int64) {
	if !e.Mode.IsDir() {
		s.Files++
		s.Bytes += bytes
	}
}

// unreadable names the mend for a directory that the build would stumble on.
func (l *Local) unreadable(err error) error {
	var pe *fs.PathError
	if !errors.As(err, &pe) {
		return err
	}
	name := pe.Path
	if rel, err := filepath.Rel(l.Root, name); err == nil && filepath.IsLocal(rel) {
		name = filepath.ToSlash(rel)
	}
	return &UnreadableError{Root: l.Root, Path: name, Err: pe.Err}
}

// An UnreadableError is a file or directory of the effective context that
// cannot be read. BuildKit's client fails on it.
type UnreadableError struct {
	Root string
	Path string // relative to Root
	Err  error
}

func (e *UnreadableError) Error() string {
	return fmt.Sprintf("cannot read %s in the build context: %v", e.Path, e.Err)
}

func (e *UnreadableError) Unwrap() error { return e.Err }

// Hint names the mend.
func (e *UnreadableError) Hint() string {
	return fmt.Sprintf("make it readable, or add %q to the ignore file", e.Path)
}

// Explain returns which lines of the ignore file match name, and which one
// decides.
func (l Local) Explain(name string) ignore.Decision {
	if l.matcher == nil {
		return ignore.Decision{}
	}
	return l.matcher.Explain(name)
}

// Ignores reports whether the ignore file leaves name out.
func (l Local) Ignores(name string) bool { return l.matcher != nil && l.matcher.Ignored(name) }

// All yields the effective context in the order in which BuildKit walks it,
// parents before children.
func (l Local) All() iter.Seq[File] { return slices.Values(l.files) }

// Lookup returns the file at name in the effective context.
func (l Local) Lookup(name string) (File, bool) {
	i, ok := slices.BinarySearchFunc(l.files, name, func(f File, name string) int {
		return compareWalk(f.Path, name)
	})
	if !ok {
		return File{}, false
	}
	return l.files[i], true
}

// compareWalk orders paths as a walk does: by component.
func compareWalk(a, b string) int {
	for i := 0; i < len(a) && i < len(b); i++ {
		switch {
		case a[i] == b[i]:
		case a[i] == '/':
			return -1
		case b[i] == '/':
			return 1
		default:
			return cmp.Compare(a[i], b[i])
		}
	}
	return cmp.Compare(len(a), len(b))
}

// maxLinks is how many links BuildKit follows on one path (cache/contenthash:
// defaultMaxLinks).
const maxLinks = 255

// Resolve returns what a COPY or a bind mount of name finds among the files that
// were sent: links on the way are followed, and cannot lead out of the context.
func (l Local) Resolve(name string) (File, bool) {
	var at File
	rest := strings.TrimPrefix(path.Clean("/"+name), "/")
	for done, links := "", 0; rest != ""; {
		part, more, _ := strings.Cut(rest, "/")
		next := path.Join(done, part)
		f, ok := l.Lookup(next)
		if !ok || !f.Sent {
			return File{}, false
		}
		if f.Link == "" {
			at, done, rest = f, next, more
			continue
		}
		if links++; links > maxLinks {
			return File{}, false
		}
		target := path.Join("/", done, f.Link)
		if path.IsAbs(f.Link) {
			target = path.Clean(f.Link)
		}
		at, done, rest = File{}, "", strings.TrimPrefix(path.Join(target, more), "/")
	}
	return at, true
}
