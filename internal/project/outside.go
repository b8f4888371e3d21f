package project

import (
	"iter"
	"os"
	"path/filepath"
	"slices"
	"time"

	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/context/ignore"
	"github.com/stokerd/stoker/internal/discover"
)

// An outside remembers the state of the files that a picture was made from and that change
// without an event: those that are in none of its trees, such as a Dockerfile that is a symbolic
// link out of the repository, or that a compose file names elsewhere, whose folders are not
// watched because they may have any number of other files; and those with a further name (a hard
// link), as a write by that name is told of under that name alone.
type outside struct {
	files map[string]os.FileInfo // by absolute path; nil if there is no such file
	// young reports whether one was modified so recently that another change might leave
	// it with the same time.
	young bool
}

// coarsest is the coarsest resolution of modification times on common file systems (FAT).
const coarsest = 2 * time.Second

// lookOutside sets p.outside. began is a time before any of the files was read.
func (p *Picture) lookOutside(began time.Time) {
	p.outside = outside{files: map[string]os.FileInfo{}}
	for place := range p.madeFrom() {
		if _, noted := p.outside.files[place]; !noted {
			p.noteOutside(place, began)
		}
	}
}

// madeFrom yields the files that p was made from, or would be if they existed, and all that
// symbolic links in their paths lead through. It yields some of them again.
func (p *Picture) madeFrom() iter.Seq[string] {
	return func(yield func(string) bool) {
		files := slices.Clone(p.Discovery.Files)
		for _, d := range p.definitions() {
			files = append(files, filesOf(d)...)
		}
		for _, file := range files {
			for _, place := range discover.Places(file) {
				if filepath.IsAbs(place) && !yield(place) {
					return
				}
			}
		}
	}
}

// relinked reports whether a file that p was made from has got a further name since.
func (p *Picture) relinked() bool {
	for place := range p.madeFrom() {
		if _, noted := p.outside.files[place]; noted {
			continue
		}
		if fi, err := os.Lstat(place); err == nil && hasNames(fi) {
			return true
		}
	}
	return false
}

// filesOf returns the Dockerfiles and ignore files that a build of d reads, or would read
// if they existed.
func filesOf(d buildctx.Definition) []string {
	files := dockerfilesOf(d)
	if !d.Remote() {
		files = append(files, ignore.Candidates(d.Context, d.Dockerfile)...)
	}
	for _, dir := range d.LocalContexts() {
		files = append(files, ignore.Candidates(dir, "")...)
	}
	return files
}

// noteOutside adds a file, unless it is in a tree under its only name.
func (p *Picture) noteOutside(place string, began time.Time) {
	fi, err := os.Lstat(place)
	switch {
	case p.shows(place) && (err != nil || !hasNames(fi)):
		return
	case err != nil:
		fi = nil
	default:
		if at := fi.ModTime(); at.After(began.Add(-coarsest)) && !at.After(time.Now()) {
			p.outside.young = true
		}
	}
	p.outside.files[place] = fi
}

// shows reports whether a file at name would be in one of p's trees.
func (p *Picture) shows(name string) bool {
	for root := range p.trees {
		if _, ok := within(root, name); ok {
			return true
		}
	}
	return false
}

// Stale reports whether p may be outdated because a file changed of which no watcher tells: see
// outside. It looks at each such file on the disk; usually there are none.
func (p *Picture) Stale() bool {
	if p.outside.young {
		return true
	}
	for name, was := range p.outside.files {
		is, err := os.Lstat(name)
		if (err == nil) != (was != nil) {
			return true
		}
		if err == nil && (!os.SameFile(is, was) || is.Size() != was.Size() || is.Mode() != was.Mode() || !is.ModTime().Equal(was.ModTime())) {
			return true
		}
	}
	return false
}
