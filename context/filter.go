package buildctx

import (
	"context"
	"errors"
	"io/fs"

	"github.com/tonistiigi/fsutil"

	"github.com/stokerd/stoker/context/ignore"
)

// A filter passes over a directory once and fills in what the ignore file
// leaves of it, and what of that each request asks for. It gives what BuildKit's
// own filter gives (fsutil: filterFS.Walk), which tests hold it against, and
// costs little more than looking at the names.
type filter struct {
	ctx     context.Context // of one pass
	local   *Local
	exclude *ignore.Matcher
	include []*ignore.Matcher // one a request; nil asks for everything

	frames      []frame // the directories on the way to where the pass is
	names, sent firstNames
}

// A frame is a directory that the pass is in.
type frame struct {
	entry   *entry
	path    string
	index   int // in local.files; -1 while nothing in it has been passed
	exclude ignore.State
	include []ignore.State // parallel to filter.include; unused where that is nil
}

// firstNames knows under which name a file was seen first, by inode: further
// names add no bytes (fsutil: setUnixOpt).
type firstNames map[uint64]uint32 // number of links when it was seen

// bytes returns what e adds.
func (n firstNames) bytes(e Entry) int64 {
	if e.Mode&(fs.ModeDir|fs.ModeSymlink) != 0 {
		return 0
	}
	if e.Inode != 0 {
		// Either name's count will do: no event tells that the other's changed.
		links, seen := n[e.Inode]
		if seen && (e.Links > 1 || links > 1) {
			return 0
		}
		if !seen {
			n[e.Inode] = e.Links
		}
	}
	if !e.Mode.IsRegular() {
		return 0
	}
	return e.Size
}

// includes turns a request's paths into patterns, links followed; nil where that
// asks for everything (fsutil: NewFilterFS).
func includes(files fsutil.FS, paths []string) (*ignore.Matcher, error) {
	if paths == nil {
		return nil, nil
	}
	patterns, err := fsutil.FollowLinks(files, paths)
	if err != nil || len(patterns) == 0 {
		return nil, err
	}
	list := &ignore.File{}
	for i, p := range patterns {
		list.Lines = append(list.Lines, ignore.Line{Number: i + 1, Pattern: p})
	}
	return ignore.NewMatcher(list)
}

// run passes over top. An error is a directory that a request asks for and that
// cannot be read, or ctx's.
func (f *filter) run(top *directory) error {
	root := frame{index: -1, exclude: f.exclude.Root(), include: make([]ignore.State, len(f.include))}
	for i, m := range f.include {
		if m != nil {
			root.include[i] = m.Root()
		}
	}
	f.frames = append(f.frames, root)
	return f.directory(top)
}

// directory passes over what is in d, whose frame is the last one.
func (f *filter) directory(d *directory) error {
	if err := f.ctx.Err(); err != nil {
		return err
	}
	for i := range d.entries {
		if err := f.entry(&d.entries[i]); err != nil {
			return err
		}
	}
	return nil
}

func (f *filter) entry(e *entry) error {
	if e.dir != nil {
		return f.descend(e)
	}
	in := &f.frames[len(f.frames)-1]
	if f.exclude.Match(in.exclude, e.name) {
		return nil
	}
	index := f.pass(e, f.path(e.name))
	for i, m := range f.include {
		if m == nil || !in.include[i].Missed() && m.Match(in.include[i], e.name) {
			f.send(index)
		}
	}
	return nil
}

func (f *filter) descend(e *entry) error {
	in := &f.frames[len(f.frames)-1]
	next := frame{entry: e, path: f.path(e.name), index: -1, exclude: f.exclude.Enter(in.exclude, e.name)}
	if next.exclude.Pruned() {
		return nil
	}
	next.include = make([]ignore.State, len(f.include))
	asked := false // a request's own walk would come here
	for i, m := range f.include {
		if m == nil {
			asked = true
			continue
		}
		next.include[i] = m.Enter(in.include[i], e.name)
		asked = asked || !next.include[i].Missed()
	}
	wanted := false
	if !next.exclude.Matched() {
		next.index = f.pass(e, next.path)
		for i, m := range f.include {
			if m == nil || !next.include[i].Missed() && next.include[i].Matched() {
				wanted = true
				f.send(next.index)
			}
		}
	}
	if err := e.dir.err; err != nil && asked && (wanted || !errors.Is(err, fs.ErrPermission)) {
		return err
	}
	f.frames = append(f.frames, next)
	err := f.directory(e.dir)
	f.frames = f.frames[:len(f.frames)-1]
	return err
}

func (f *filter) path(name string) string {
	if dir := f.frames[len(f.frames)-1].path; dir != "" {
		return dir + "/" + name
	}
	return name
}

// pass adds e to the effective context, and before it the directories on the
// way that were not there yet: an excluded directory is sent after all when
// something in it is re-included.
func (f *filter) pass(e *entry, path string) int {
	for i := range f.frames {
		if p := &f.frames[i]; p.entry != nil && p.index < 0 {
			p.index = f.add(p.entry, p.path)
		}
	}
	return f.add(e, path)
}

func (f *filter) add(e *entry, path string) int {
	file := File{Entry: e.public(path)}
	file.Bytes = f.names.bytes(file.Entry)
	f.local.files = append(f.local.files, file)
	f.local.Context.add(file.Entry, file.Bytes)
	return len(f.local.files) - 1
}

// send marks the file at index as sent, and the directories on the way to it.
func (f *filter) send(index int) {
	for i := range f.frames {
		if p := &f.frames[i]; p.entry != nil {
			f.mark(p.index)
		}
	}
	f.mark(index)
}

func (f *filter) mark(index int) {
	file := &f.local.files[index]
	if !file.Sent {
		file.Sent = true
		f.local.Sent.add(file.Entry, f.sent.bytes(file.Entry))
	}
}
