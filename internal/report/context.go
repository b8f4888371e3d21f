package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/project"
)

// Context reports the effective context of a build of p, with the steps that take each
// file. req says which entries are listed, and in which order. Sizes and entries are those
// of the main context; named contexts are only in the notes and in the sizes of what steps
// take. The error is an *api.Error of code BadInput, for a build with a problem or a
// request that makes no sense.
func Context(p *project.Picture, b *project.Build, req api.ContextRequest) (api.Context, error) {
	if err := selected(b); err != nil {
		return api.Context{}, err
	}
	s := b.Selection
	c := api.Context{
		Schema:     api.ContextSchema,
		Definition: b.Definition.Name,
		Root:       root(b),
		Dockerfile: dockerfilePath(p, b.Definition),
		IgnoreFile: ignoreFile(p, b),
		Context:    size(s.Main.Context),
		Sent:       size(s.Main.Sent),
		Steps:      steps(s),
		Notes:      assumptions(b),
		Entries:    []api.ContextEntry{},
	}
	list, err := newListing(s, req)
	if err != nil {
		return api.Context{}, err
	}
	for f := range s.Main.All() {
		if f.Sent && len(f.Steps) == 0 {
			add(&c.Unused, f)
		}
		if severalTake(s.Plan, f) {
			add(&c.Shared, f)
		}
		list.add(f)
	}
	list.fill(&c)
	return c, nil
}

// selected returns the error of a build that has a problem and so no selection; else nil.
func selected(b *project.Build) error {
	if b.Problem == nil {
		return nil
	}
	return &api.Error{Code: api.BadInput, Message: readable(b.Problem.Text), Hint: b.Problem.Hint}
}

// root returns the context directory of a build, or its address.
func root(b *project.Build) string {
	if b.Selection.Main.Root == "" {
		return withoutCredentials(b.Definition.Context)
	}
	return readable(b.Selection.Main.Root)
}

// severalTake reports whether several instructions take f. The steps that one instruction
// has for several platforms count once.
func severalTake(plan *dockerfile.Plan, f buildctx.File) bool {
	return !f.Mode.IsDir() && slices.ContainsFunc(f.Steps, func(i int) bool {
		return plan.Steps[i].Lines != plan.Steps[f.Steps[0]].Lines
	})
}

// add adds a file to a size. Directories do not count.
func add(s *api.Size, f buildctx.File) {
	if !f.Mode.IsDir() {
		s.Files++
		s.Bytes += f.Bytes
	}
}

// steps returns the steps that take local files, with what they take.
func steps(s *buildctx.Selection) []api.ContextStep {
	takes := make([]api.Size, len(s.Plan.Steps))
	for _, l := range s.Locals() {
		for f := range l.All() {
			for _, i := range f.Steps {
				add(&takes[i], f)
			}
		}
	}
	list := []api.ContextStep{}
	for i, step := range s.Plan.Steps {
		if len(step.Takes) == 0 {
			continue
		}
		list = append(list, api.ContextStep{
			Name: readable(step.Name), Stage: readable(step.Stage), Index: step.Index, Lines: [2]int{step.Lines.From, step.Lines.To}, Takes: takes[i],
			Mount: !slices.ContainsFunc(step.Takes, func(t dockerfile.Take) bool { return !t.Mount }),
		})
	}
	return list
}

// A listing collects the entries that a request asks for.
type listing struct {
	req   api.ContextRequest
	s     *buildctx.Selection
	steps []int // only entries that one of these takes; nil for all
	files []buildctx.File
}

// newListing checks the request, and finds the steps that it names.
func newListing(s *buildctx.Selection, req api.ContextRequest) (*listing, error) {
	l := &listing{req: req, s: s}
	if req.Sort != "" && req.Sort != api.SortName && req.Sort != api.SortSize {
		return nil, &api.Error{
			Code: api.BadInput, Message: fmt.Sprintf("cannot sort by %q", req.Sort), Hint: "sort by name or by size",
		}
	}
	if req.Step == "" {
		return l, nil
	}
	var err error
	l.steps, err = step(s.Plan, req.Step)
	return l, err
}

// step returns the steps that a user means by text. These are the steps of one instruction,
// for each platform. If several match, those that take local files are preferred. The error
// is an *api.Error that lists the steps, if none or several instructions match.
func step(plan *dockerfile.Plan, text string) ([]int, error) {
	found := plan.Find(text)
	idle := func(i int) bool { return len(plan.Steps[i].Takes) == 0 }
	if taking := slices.DeleteFunc(slices.Clone(found), idle); len(taking) > 0 {
		found = taking
	}
	e := &api.Error{Code: api.BadInput}
	for _, i := range found {
		if plan.Steps[i].Lines != plan.Steps[found[0]].Lines {
			e.Message = fmt.Sprintf("%q may mean several steps", text)
			e.Hint = "name one as in " + stepNames(plan, found)
			return nil, e
		}
	}
	if len(found) > 0 {
		return found, nil
	}
	all := make([]int, len(plan.Steps))
	for i := range all {
		all[i] = i
	}
	e.Message = fmt.Sprintf("no step of this build is %q", text)
	if len(all) > 0 {
		e.Hint = "there are " + stepNames(plan, all) + "; or give the line as :" + plan.Steps[0].Lines.String()
	}
	return nil, e
}

// stepNames lists the parts of steps' names that are in brackets, without duplicates.
func stepNames(plan *dockerfile.Plan, list []int) string {
	var names []string
	for _, i := range list {
		place, _, _ := strings.Cut(plan.Steps[i].Name, "]")
		if name := place + "]"; !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return readable(strings.Join(names, ", "))
}

// add adds a file, if the request asks for it.
func (l *listing) add(f buildctx.File) {
	req := l.req
	switch {
	case req.Files && f.Mode.IsDir(),
		req.Sent && !f.Sent,
		req.Unused && (!f.Sent || len(f.Steps) > 0 || f.Mode.IsDir()),
		req.Shared && !severalTake(l.s.Plan, f),
		l.steps != nil && !slices.ContainsFunc(f.Steps, func(i int) bool { return slices.Contains(l.steps, i) }):
		return
	}
	l.files = append(l.files, f)
}

// fill sets the entries of c and their sums, in the order that was asked for and up to the
// limit.
func (l *listing) fill(c *api.Context) {
	req := l.req
	if req.Sort == api.SortSize {
		slices.SortStableFunc(l.files, func(a, b buildctx.File) int { return cmp.Compare(b.Bytes, a.Bytes) })
	}
	if req.Sent || req.Unused || req.Shared || req.Step != "" {
		c.Listed = &api.Size{}
		for _, f := range l.files {
			add(c.Listed, f)
		}
	}
	if len(l.steps) > 0 {
		c.Step = readable(l.s.Plan.Steps[l.steps[0]].Name)
	}
	if req.Limit > 0 && len(l.files) > req.Limit {
		c.Left = &api.Size{}
		for _, f := range l.files[req.Limit:] {
			add(c.Left, f)
		}
		l.files = l.files[:req.Limit]
	}
	for _, f := range l.files {
		c.Entries = append(c.Entries, entry(l.s, f))
	}
}

func entry(s *buildctx.Selection, f buildctx.File) api.ContextEntry {
	e := api.ContextEntry{
		Path: readable(f.Path), PathBytes: rawName(f.Path), Type: buildctx.TypeOf(f.Mode), Sent: f.Sent,
	}
	if f.Mode.IsRegular() {
		e.Size = f.Size
		switch {
		case f.Withheld:
			e.Size = 0 // it arrives empty
		case f.Size > 0 && f.Bytes == 0:
			// It is another name of a file that was listed before, and sent as a link. The
			// number of links cannot decide this, because no event tells of a new link.
			e.Type, e.Size = "hardlink", 0
		}
	}
	for _, i := range f.Steps {
		e.Steps = append(e.Steps, readable(s.Plan.Steps[i].Name))
	}
	return e
}
