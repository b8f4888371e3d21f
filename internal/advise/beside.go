package advise

import (
	"path/filepath"

	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/project"
	"github.com/stokerd/stoker/internal/suggest"
)

// beside returns the definitions that share a copy of the context with b at a
// builder, and what b has to send again after each.
func (r *round) beside(p *project.Picture, b *project.Build) []suggest.Neighbour {
	var list []suggest.Neighbour
	mine := b.Selection.Main
	for _, o := range p.Builds {
		if o == b || o.Selection == nil || o.Problem != nil || filepath.Base(o.Selection.Main.Root) != filepath.Base(mine.Root) {
			continue
		}
		if !asksFor(o.Selection) {
			continue // it leaves the copy as it is
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

// A load is what a build has sent of its main context. Paths are numbers of a round.
type load struct {
	files []sentFile
	holds []bool // by path; one beyond the end is not held
}

type sentFile struct {
	path  int
	bytes int64
}

func (l *load) has(path int) bool { return path < len(l.holds) && l.holds[path] }

// sends returns the load of a build. A context is walked once, and no path compared
// twice: that is most of the work where many builds share a folder.
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

// asksFor reports a build that has files of its main context sent at all.
func asksFor(s *buildctx.Selection) bool {
	for _, r := range s.Plan.Requests {
		if r.Local == dockerfile.MainContext {
			return true
		}
	}
	return false
}
