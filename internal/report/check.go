package report

import (
	"fmt"
	"slices"
	"strings"

	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/config"
	"github.com/stokerd/stoker/internal/project"
)

// Check checks the named definitions of a picture, or all if there are no names, against
// the limits of its configuration. The result is not OK if a limit is exceeded, a
// definition has a problem, or a finding is an error. Without names, it is also not OK if a
// file that defines builds could not be read, because definitions may be missing.
//
// The error is an *api.Error: NotFound for an unknown name, and BadInput if there is
// nothing to check.
func Check(p *project.Picture, names []string) (api.Check, error) {
	builds, err := Select(p, names)
	if err != nil {
		return api.Check{}, err
	}
	c := api.Check{Schema: api.CheckSchema, Definitions: []api.CheckDefinition{}}
	if len(names) == 0 {
		c.Problem, c.Hint = Problem(p)
	}
	if len(builds) == 0 {
		return api.Check{}, &api.Error{Code: api.BadInput, Message: c.Problem, Hint: c.Hint}
	}
	c.OK = c.Problem == ""
	found := p.FindingsOf(builds)
	c.Findings = Findings(found)
	for _, b := range builds {
		d := checkDefinition(p, b, p.Config.Budget, p.FindingsOf([]*project.Build{b}))
		c.OK = c.OK && len(d.Over) == 0 && d.Problem == ""
		c.Definitions = append(c.Definitions, d)
	}
	failing := func(f project.Finding) bool { return f.Severity == project.Error }
	c.OK = c.OK && !slices.ContainsFunc(found, failing)
	return c, nil
}

// Select returns the builds with the given names, or all if there are no names. For an
// unknown name it returns an *api.Error of code NotFound, whose hint lists the names.
func Select(p *project.Picture, names []string) ([]*project.Build, error) {
	if len(names) == 0 {
		return p.Builds, nil
	}
	var list []*project.Build
	for _, name := range names {
		b, ok := p.Find(name)
		if !ok {
			return nil, unknown(p, name)
		}
		if !slices.Contains(list, b) {
			list = append(list, b)
		}
	}
	return list, nil
}

// One returns the build with the given name, or the only one there is if name
// is "". Its error is an *api.Error that lists the names.
func One(p *project.Picture, name string) (*project.Build, error) {
	switch {
	case name != "":
		list, err := Select(p, []string{name})
		if err != nil {
			return nil, err
		}
		return list[0], nil
	case len(p.Builds) == 1:
		return p.Builds[0], nil
	case len(p.Builds) == 0:
		text, hint := Problem(p)
		return nil, &api.Error{Code: api.BadInput, Message: text, Hint: hint}
	}
	return nil, &api.Error{
		Code: api.BadInput, Message: "this repository builds several things: name one", Hint: thereAre(p.Names()),
	}
}

// unknown returns the error of a name that no build of p has. If the repository has a
// problem, that may be the reason, and is the hint.
func unknown(p *project.Picture, name string) error {
	e := noName(name, p.Names())
	if text, hint := Problem(p); text != "" {
		e.Hint = strings.TrimSpace(text + "; " + hint)
	}
	return e
}

// noName returns the error of a name that is not among names. It suggests similar ones.
func noName(name string, names []string) *api.Error {
	e := &api.Error{Code: api.NotFound, Message: "no build is named " + name, Hint: thereAre(names)}
	var near []string
	for _, n := range names {
		if len(name) > 1 && strings.HasPrefix(n, name) || len(name) > 2 && strings.Contains(n, name) || len(n) > 2 && strings.Contains(name, n) {
			near = append(near, n)
		}
	}
	if len(near) > 0 && len(near) <= 3 {
		e.Message += "; did you mean " + strings.Join(near, " or ") + "?"
	}
	return e
}

// thereAre lists names, but not all of many: a repository of examples may have dozens.
func thereAre(names []string) string {
	const most = 12
	text := "there are: " + strings.Join(names[:min(len(names), most)], ", ")
	if more := len(names) - most; more > 0 {
		text += fmt.Sprintf(" and %d more: stoker status has them all", more)
	}
	return text
}

// checkDefinition compares a build, of which found are the findings, with the limits.
func checkDefinition(p *project.Picture, b *project.Build, limit config.Budget, found []project.Finding) api.CheckDefinition {
	d := api.CheckDefinition{
		Name: b.Definition.Name, Dockerfile: dockerfilePath(p, b.Definition),
		Budget: api.Budget{Context: limit.Context, Sent: limit.Sent, File: limit.File, Files: int(limit.Files)},
	}
	if b.Problem != nil {
		d.Problem, d.Hint = readable(b.Problem.Text), b.Problem.Hint
		return d
	}
	d.Context, d.Sent = size(b.Selection.Main.Context), size(b.Selection.Sent())
	// A file over the built-in limit is a warning, and does not count if it is never sent.
	large := func(f project.Finding) bool {
		return f.Rule == project.RuleLarge && (f.Severity == project.Error || f.Reach != buildctx.InContext)
	}
	for _, l := range []struct {
		name string
		over bool
	}{
		{"context", limit.Context > 0 && d.Context.Bytes > limit.Context},
		{"sent", limit.Sent > 0 && d.Sent.Bytes > limit.Sent},
		{"file", slices.ContainsFunc(found, large)},
		{"files", limit.Files > 0 && int64(d.Context.Files) > limit.Files},
	} {
		if l.over {
			d.Over = append(d.Over, l.name)
		}
	}
	return d
}

// Findings reports findings, in their order.
func Findings(list []project.Finding) []api.Finding {
	out := make([]api.Finding, len(list))
	for i, f := range list {
		out[i] = api.Finding{
			Rule: f.Rule, Severity: string(f.Severity), Definition: f.Definition,
			Path: readable(f.Path), PathBytes: rawName(f.Path), Line: f.Line, Size: f.Size,
			Message: readable(f.Message), Reaches: string(f.Reach),
			Step: f.Step, StepLine: f.StepLine, Fingerprint: f.Fingerprint,
		}
	}
	return out
}
