package advise

import (
	"path/filepath"

	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/project"
	"github.com/stokerd/stoker/internal/suggest"
)

// beside returns the definitions whose context the builder keeps in the same copy as that of
// b, with the files that b has to send again after a build of each. A definition that fails from
// this folder is none of them: nobody knows where it is built, or what its context has then.
func (r *round) beside(p *project.Picture, b *project.Build) []suggest.Neighbour {
	var list []suggest.Neighbour
	mine := b.Selection.Main
	for _, o := range p.Builds {
		if o == b || o.Selection == nil || o.Problem != nil || filepath.Base(o.Selection.Main.Root) != filepath.Base(mine.Root) {
			continue
		}
		if !asksFor(o.Selection) {
			continue // it sends nothing, and so leaves the copy as it is
		}
		if o.LacksSource() {
			continue
		}
		n := suggest.Neighbour{Name: o.Definition.Name, Elsewhere: o.Selection.Main.Root != mine.Root}
		theirs := r.sends(o.Selection)
		for _, f := range r.sends(b.Selection).files {
			if f.bytes > 0 && (n.Elsewhere || !theirs.has(f.path)) {
				n.Files, n.Bytes = n.Files+1, n.Bytes+f.bytes
			}
		}
		list = append(list, n)
	}
	return list
}

// A load is the set of files of its main context that a build sends. Paths are numbered: see
// round.paths.
type load struct {
	files []sentFile
	holds []bool // by number of the path; may be shorter than there are paths
}

// A sentFile is a file of a load.
type sentFile struct {
	path  int // its number
	bytes int64
}

// has reports whether a path is in the load.
func (l *load) has(path int) bool { return path < len(l.holds) && l.holds[path] }

// sends returns the load of a build. Loads are remembered and paths numbered since, where
// many builds share a folder, walking it and comparing paths is most of the work.
func (r *round) sends(s *buildctx.Selection) *load {
	if known, ok := r.loads[s]; ok {
		return known
	}
	l := &load{}
	for f := range s.Main.All() {
		if !f.Sent {
			continue
		}
		path, ok := r.paths[f.Path]
		if !ok {
			path = len(r.paths)
			r.paths[f.Path] = path
		}
		l.files = append(l.files, sentFile{path, f.Bytes})
	}
	l.holds = make([]bool, len(r.paths))
	for _, f := range l.files {
		l.holds[f.path] = true
	}
	r.loads[s] = l
	return l
}

// asksFor reports whether a build sends any files of its main context.
func asksFor(s *buildctx.Selection) bool {
	for _, r := range s.Plan.Requests {
		if r.Local == dockerfile.MainContext {
			return true
		}
	}
	return false
}
