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
func beside(p *project.Picture, b *project.Build) []suggest.Neighbour {
	var list []suggest.Neighbour
	mine := b.Selection.Main
	for _, o := range p.Builds {
		if o == b || o.Selection == nil || o.Problem != nil || filepath.Base(o.Selection.Main.Root) != filepath.Base(mine.Root) {
			continue
		}
		if !asksFor(o.Selection) {
			continue // it leaves the copy as it is
		}
		theirs := o.Selection.Main
		n := suggest.Neighbour{Name: o.Definition.Name, Elsewhere: theirs.Root != mine.Root}
		for f := range mine.All() {
			if !f.Sent || f.Bytes == 0 {
				continue
			}
			if other, ok := theirs.Lookup(f.Path); ok && other.Sent && !n.Elsewhere {
				continue
			}
			n.Files, n.Bytes = n.Files+1, n.Bytes+f.Bytes
		}
		list = append(list, n)
	}
	return list
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
