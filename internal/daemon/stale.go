package daemon

import (
	"context"
	"slices"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/project"
	"github.com/stokerd/stoker/internal/report"
)

// mostUnseen bounds how many files are named that a builder does not see to have
// changed: a tool that restores times may have touched everything.
const mostUnseen = 20

// An unseen are the changes that the builder will not see, of one picture.
type unseen struct {
	picture  *project.Picture
	findings []api.Finding
}

// lookForUnseen finds what changed in a picture in a way that the builder will not
// see, whichever client sends it next.
func (d *Daemon) lookForUnseen(ctx context.Context, r *repository, p *project.Picture) {
	node := d.builder.current()
	if node == nil {
		return
	}
	copies := d.account(node).copies
	var list []project.Finding
	for _, b := range p.Builds {
		if b.Selection == nil {
			continue
		}
		site := siteOf(node, copies, b.Definition)
		for _, diff := range r.contents.Unseen(ctx, b.Selection.Plan, b.Definition.Name, site, p) {
			if f, ok := p.Unseen(b, diff.Path); ok && len(list) < mostUnseen && !slices.ContainsFunc(list, func(have project.Finding) bool { return have.Path == f.Path }) {
				list = append(list, f)
			}
		}
	}
	old := r.unseen.Swap(&unseen{p, report.Findings(list)})
	if len(list) > 0 || old != nil && len(old.findings) > 0 {
		d.board.changed()
	}
}
