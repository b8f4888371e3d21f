package project

import (
	"os"
	"path/filepath"
	"time"

	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/context/ignore"
	"github.com/stokerd/stoker/internal/discover"
)

// An outside remembers the state of the files that a picture was made from but that are in
// none of its trees, such as a Dockerfile that is a symbolic link out of the repository, or
// that a compose file names elsewhere. They are not watched, because their folders may
// have any number of other files.
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
	for _, file := range p.Discovery.Files {
		p.noteOutside(file, began)
	}
	for _, d := range p.definitions() {
		for _, file := range filesOf(d) {
			p.noteOutside(file, began)
		}
	}
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

// noteOutside adds a file, and all that symbolic links in its path lead through, unless
// they are in a tree.
func (p *Picture) noteOutside(file string, began time.Time) {
	for _, place := range discover.Places(file) {
		if _, noted := p.outside.files[place]; noted || p.shows(place) || !filepath.IsAbs(place) {
			continue
		}
		fi, err := os.Lstat(place)
		if err != nil {
			fi = nil
		} else if at := fi.ModTime(); at.After(began.Add(-coarsest)) && !at.After(time.Now()) {
			p.outside.young = true
		}
		p.outside.files[place] = fi
	}
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

// Stale reports whether p may be outdated because a file outside its trees changed, of
// which no watcher tells. It looks at each such file on the disk; usually there are none.
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
