package daemon

import (
	"context"
	"slices"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/project"
	"github.com/stokerd/stoker/internal/report"
)

// mostUnseen bounds how many findings are shown of changes that the builder will not see. A
// tool that restores times of files may have made one of every file.
const mostUnseen = 20

// unseen has the changes in one picture that the builder will not see: it compares what
// stat says of a file, such as its size and time, and not its content.
type unseen struct {
	picture  *project.Picture
	findings []api.Finding
}

// lookForUnseen looks in p for changes that the builder will not see, whichever client sends
// the files next, and keeps them for status. Without a builder it does nothing.
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
		for local, path := range r.contents.Unseen(ctx, b.Selection.Plan, b.Definition.Name, site, p) {
			if f, ok := p.Unseen(b, local, path); ok && len(list) < mostUnseen && !slices.ContainsFunc(list, func(have project.Finding) bool { return have.Path == f.Path }) {
				list = append(list, f)
			}
		}
	}
	old := r.unseen.Swap(&unseen{p, report.Findings(list)})
	if len(list) > 0 || old != nil && len(old.findings) > 0 {
		d.board.changed()
	}
}
