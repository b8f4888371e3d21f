package project

import (
	"os"
	"path/filepath"
	"time"

	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/context/ignore"
	"github.com/stokerd/stoker/internal/discover"
)

// An outside is what the files were that a picture was made of and that lie in
// none of its trees: a Dockerfile or an ignore file that is a link to a place
// beyond the repository, or that a compose file names there. Nobody watches
// these, for what lies around them may be anything.
type outside struct {
	files map[string]os.FileInfo // by absolute path; nil for one that is not there
	// young says that one had just changed: another change may not show.
	young bool
}

// coarsest is the step of the coarsest times of any file system.
const coarsest = 2 * time.Second

// lookOutside notes the files outside of p's trees; began is when the first of
// them may have been read.
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

// filesOf lists the Dockerfiles and ignore files that a build of d reads, and
// where they would be found.
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

// shows reports whether one of p's trees holds the file at name, if it is there.
func (p *Picture) shows(name string) bool {
	for root := range p.trees {
		if _, ok := within(root, name); ok {
			return true
		}
	}
	return false
}

// Stale reports whether a file that p was made of, and that no batch of changes
// would name, is another one now. Without such files it costs nothing.
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
