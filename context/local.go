package buildctx

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/context/ignore"
)

// A Local is the part of a selection that lies in one local directory: the build
// context or a named one. It shows one moment, that of the tree it was computed
// from, and shares memory with the selections before it. Its files are listed
// only when asked for. It is immutable.
type Local struct {
	Name    string // dockerfile.MainContext, or the name of a named context
	Root    string // absolute; "" for a remote context, which has no files here
	Ignore  *ignore.File
	Context Size // the effective context
	Sent    Size // the part of it that the builder asks for

	matcher *ignore.Matcher // of Ignore
	filter  *filter
	takers  *takers
	top     *summary
	links   *hardLinks
}

// A File is an entry of an effective context.
type File struct {
	Entry
	// Bytes is the content that the file adds to the context: 0 for a directory, a
	// link, a further name of a file that came before, and a withheld file.
	Bytes int64
	// Withheld says that BuildKit's client lists the file but does not open it, so
	// that it arrives empty (see [ignore.Matcher.Withheld]).
	Withheld bool
	Sent     bool
	Steps    []int // the steps that take it, as indexes into Plan.Steps
}

// update returns l as the trees of views show it now. It reuses what did not
// change, and returns l itself if nothing did.
func (l Local) update(ctx context.Context, plan *dockerfile.Plan, views Views) (Local, error) {
	tree, sub, err := views(l.Root)
	if err != nil {
		return l, err
	}
	top, ok := tree.find(sub)
	if !ok || top.dir == nil {
		return l, fmt.Errorf("build context %s: %w", l.Root, fs.ErrNotExist)
	}
	if l.top != nil && l.top.dir == top.dir {
		return l, nil
	}
	if l.matcher == nil {
		if l.matcher, err = ignore.NewMatcher(l.Ignore); err != nil {
			return l, err
		}
	}
	files := &treeFS{top: top.dir, root: filepath.Join(tree.root, filepath.FromSlash(sub))}
	f, err := newFilter(l.matcher, files, requests(plan, l.Name), l.filter)
	if err != nil {
		return l, err
	}
	if l.takers, err = newTakers(plan, l.Name, present{files, l.matcher}, l.takers); err != nil {
		return l, err
	}
	if err := l.fill(ctx, top.dir, f); err != nil {
		return l, l.unreadable(err)
	}
	return l, nil
}

// fill selects the files of top with f, starting from l's summaries if they were
// made with the same filter.
func (l *Local) fill(ctx context.Context, top *directory, f *filter) error {
	old := l.top
	if f != l.filter {
		old = nil
	}
	s := summarizer{ctx: ctx, filter: f}
	sum, err := s.directory(top, f.root(), old)
	if err != nil {
		return err
	}
	l.filter, l.top = f, sum
	if old == nil || l.relinked(old, sum) {
		l.links = newHardLinks(l)
	}
	l.Context = Size{Files: int(sum.files), Bytes: sum.bytes - l.links.context}
	l.Sent = Size{Files: int(sum.sentFiles), Bytes: sum.sentBytes - l.links.sent}
	return nil
}

// relinked reports whether the names of a file with several names may have changed
// from the summary old to next.
func (l *Local) relinked(old, next *summary) bool {
	h := l.links
	if old.linked == 0 && next.linked == 0 {
		return false
	}
	for c := range changes(l.filter, old, next) {
		if h.concerns(c.old) || h.concerns(c.next) {
			return true
		}
	}
	return false
}

// walk calls fn for every entry of the context, parents before children, until fn
// returns false. dir is the path of the entry's directory, with a slash at its end
// or empty for the root. If into is not nil, walk skips the contents of directories
// for which it returns false.
func (l *Local) walk(into func(*summary) bool, fn func(dir string, it item, o outcome) bool) {
	if l.top != nil {
		w := walker{filter: l.filter, into: into, fn: fn}
		w.directory("", l.top, l.filter.root())
	}
}

// A walker is one run of [Local.walk].
type walker struct {
	filter *filter
	into   func(*summary) bool
	fn     func(dir string, it item, o outcome) bool
}

// directory walks what is below s, and reports whether to go on.
func (w *walker) directory(dir string, s *summary, p place) bool {
	if w.into != nil && !w.into(s) {
		return true
	}
	for i := range s.dir.entries {
		it := s.dir.item(i)
		if it.dir == nil {
			if o := w.filter.file(p, it.name); o.in && !w.fn(dir, it, o) {
				return false
			}
			continue
		}
		kid := s.child(it)
		if kid == nil || !kid.in {
			continue
		}
		if !w.fn(dir, it, outcome{in: true, sent: kid.asked}) || !w.directory(dir+it.name+"/", kid, w.filter.enter(p, it.name)) {
			return false
		}
	}
	return true
}

// All yields the effective context in the order in which BuildKit walks it,
// parents before children.
func (l Local) All() iter.Seq[File] {
	return func(yield func(File) bool) {
		l.walk(nil, func(dir string, it item, o outcome) bool {
			return yield(l.file(dir+it.name, it, o))
		})
	}
}

// file returns the item at the path name, for which the filter decided o.
func (l *Local) file(name string, it item, o outcome) File {
	f := File{Entry: it.public(name), Bytes: o.bytes(&it.stat), Sent: o.sent, Withheld: o.withheld && it.mode.IsRegular()}
	if l.links.repeats(&it.stat, name) {
		f.Bytes, f.Withheld = 0, false
	}
	if o.sent {
		f.Steps = l.takers.steps(name)
	}
	return f
}

// Lookup returns the file at the path name in the effective context, and whether
// there is one.
func (l Local) Lookup(name string) (File, bool) {
	if l.top == nil {
		return File{}, false
	}
	at, s := l.filter.root(), l.top
	for rest := name; ; {
		part, more, below := strings.Cut(rest, "/")
		i, ok := s.dir.index(part)
		if !ok {
			return File{}, false
		}
		it := s.dir.item(i)
		if it.dir == nil {
			o := l.filter.file(at, part)
			if !o.in || below {
				return File{}, false
			}
			return l.file(name, it, o), true
		}
		s = s.child(it)
		if s == nil || !s.in {
			return File{}, false
		}
		if !below {
			return l.file(name, it, outcome{in: true, sent: s.asked}), true
		}
		at, rest = l.filter.enter(at, part), more
	}
}

// SameFiles reports whether l and other are known to have the same files in their effective
// contexts: the same folder at the same moment, with the same patterns that ignore. What the
// builder asks for, and which steps take it, may differ.
func (l *Local) SameFiles(other *Local) bool {
	return l.top != nil && other.top != nil && l.Root == other.Root && l.top.dir == other.top.dir &&
		slices.Equal(l.Ignore.Patterns(), other.Ignore.Patterns())
}

// Since returns the paths, in no order, at which l differs from old, an earlier
// selection of the same context. It returns false if any path may differ, since
// the filter or the steps are others now. It skips what the two share.
func (l Local) Since(old Local) ([]string, bool) {
	if l.filter != old.filter || l.takers != old.takers || (l.top == nil) != (old.top == nil) {
		return nil, false
	}
	if l.top == old.top {
		return nil, true
	}
	var list []string
	for c := range changes(l.filter, old.top, l.top) {
		list = append(list, c.path)
	}
	if l.links != old.links {
		list = append(append(list, l.links.names()...), old.links.names()...)
	}
	return list, true
}

// Explain returns which lines of the ignore file match the path name, and which
// one decides. The file need not exist.
func (l Local) Explain(name string) ignore.Decision {
	if l.matcher == nil {
		return ignore.Decision{}
	}
	return l.matcher.Explain(name)
}

// Ignores reports whether the ignore file leaves out the path name.
func (l Local) Ignores(name string) bool { return l.matcher != nil && l.matcher.Ignored(name) }

// IgnoresBelow reports whether the ignore file leaves out the path name with all that could
// be below it: no exception takes any of that back.
func (l Local) IgnoresBelow(name string) bool {
	return l.matcher != nil && l.matcher.IgnoredBelow(path.Clean(name))
}

// leavesOut is Ignores, and IgnoresBelow for a name that ends in a slash.
func (l Local) leavesOut(name string) bool {
	if dir, ok := strings.CutSuffix(name, "/"); ok {
		return dir != "" && l.IgnoresBelow(dir)
	}
	return l.Ignores(name)
}

// maxLinks is how many links BuildKit follows in one path (BuildKit:
// cache/contenthash, defaultMaxLinks).
const maxLinks = 255

// Resolve returns the file that a COPY or a bind mount of the path name finds among
// the files that were sent. It follows links, which cannot lead out of the context.
// For the root it returns a zero File and true.
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
		links++
		if links > maxLinks {
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

// unreadable turns an error of the file system, about a file that the build would
// fail on, into an [UnreadableError].
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

// An UnreadableError reports a file or directory of the effective context that
// cannot be read. A build would fail on it in BuildKit's client.
type UnreadableError struct {
	Root string
	Path string // relative to Root
	Err  error
}

func (e *UnreadableError) Error() string {
	return fmt.Sprintf("cannot read %s in the build context: %v", e.Path, e.Err)
}

func (e *UnreadableError) Unwrap() error { return e.Err }

// Hint says what the user can do about it.
func (e *UnreadableError) Hint() string {
	return fmt.Sprintf("make it readable, or add %q to the ignore file", e.Path)
}
