package report

import (
	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/project"
)

// Context reports the effective context of a build of p, in the order in which
// BuildKit walks it, with the steps that take each file. Sizes and entries are
// those of the build context itself; named contexts are in the notes. A build
// with a problem has no answer: its error is an *api.Error of code BadInput.
func Context(p *project.Picture, b *project.Build) (api.Context, error) {
	if b.Problem != nil {
		return api.Context{}, &api.Error{Code: api.BadInput, Message: readable(b.Problem.Text), Hint: b.Problem.Hint}
	}
	main := b.Selection.Main
	c := api.Context{
		Schema:     api.ContextSchema,
		Definition: b.Definition.Name,
		Root:       readable(main.Root),
		Dockerfile: dockerfile(p, b.Definition),
		IgnoreFile: ignoreFile(p, b),
		Context:    size(main.Context),
		Sent:       size(main.Sent),
		Notes:      assumptions(b),
		Entries:    []api.ContextEntry{},
	}
	if main.Root == "" {
		c.Root = withoutCredentials(b.Definition.Context)
	}
	for f := range main.All() {
		c.Entries = append(c.Entries, entry(b.Selection, f))
	}
	return c, nil
}

func entry(s *buildctx.Selection, f buildctx.File) api.ContextEntry {
	e := api.ContextEntry{
		Path: readable(f.Path), PathBytes: rawName(f.Path), Type: buildctx.TypeOf(f.Mode), Sent: f.Sent,
	}
	if f.Mode.IsRegular() {
		e.Size = f.Size
		if f.Links > 1 && f.Size > 0 && f.Bytes == 0 {
			// A further name of a file that was listed: it is sent as a link.
			e.Type, e.Size = "hardlink", 0
		}
	}
	for _, step := range f.Steps {
		e.Steps = append(e.Steps, s.Plan.Steps[step].Name)
	}
	return e
}
