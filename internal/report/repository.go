package report

import (
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/docker/go-units"

	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/config"
	"github.com/stokerd/stoker/internal/discover"
	"github.com/stokerd/stoker/internal/project"
)

// Repository reports a picture. What is known only from a builder, a history of builds or a
// watcher is left zero: how the repository is watched, and the builds ([AddBuilds]), warmth
// and suggestions of its definitions.
func Repository(p *project.Picture) api.Repository {
	r := api.Repository{
		Root:        readable(p.Root),
		Branch:      p.Head.Branch,
		Commit:      p.Head.Commit,
		Files:       p.Files,
		Sequence:    p.Sequence,
		Allowed:     p.Allowed,
		Definitions: make([]api.Definition, 0, len(p.Builds)),
		Findings:    Findings(p.Findings),
	}
	r.Problem, r.Hint = Problem(p)
	for _, b := range p.Builds {
		r.Definitions = append(r.Definitions, definition(p, b))
	}
	r.Notes = placeNotes(p, r.Definitions)
	if len(p.Config.Held) > 0 {
		r.Notes = append(r.Notes, fmt.Sprintf("%s: %s in there waits for consent: stoker allow", config.FileName, strings.Join(p.Config.Held, " and ")))
	}
	return r
}

// Problem returns why definitions of the repository were not found, and what to do about it;
// "" if there is no such reason. Problems of single definitions are not in it.
func Problem(p *project.Picture) (text, hint string) {
	list := p.Discovery.Problems
	switch {
	case len(list) > 0:
		text, hint = place(list[0].File, list[0].Line)+list[0].Text, list[0].Hint
		if more := len(list) - 1; more > 0 {
			text += fmt.Sprintf(" (and %s)", plural(more, "other problem"))
		}
	case len(p.Builds) == 0:
		text = "nothing to build was found"
		hint = "write a Dockerfile, or name what is built under `builds` in stoker.yaml"
	}
	return text, hint
}

// placeNotes adds to a definition the notes about its Dockerfile, or about a file that
// defines nothing else. It returns the other notes, which are about what was left out.
func placeNotes(p *project.Picture, defs []api.Definition) (rest []string) {
	for _, n := range p.Discovery.Notes {
		var about []int
		for i, d := range defs {
			if n.File == d.Origin || n.File == d.Dockerfile {
				about = append(about, i)
			}
		}
		if len(about) != 1 {
			rest = append(rest, note(n))
			continue
		}
		defs[about[0]].Notes = append(defs[about[0]].Notes, note(n))
	}
	return rest
}

func note(n discover.Note) string { return place(n.File, n.Line) + n.Text }

// place returns the beginning of a message about a line of a file: "FILE:LINE: ". A line of 0
// means the file as a whole.
func place(file string, line int) string {
	switch {
	case file == "":
		return ""
	case line == 0:
		return file + ": "
	}
	return fmt.Sprintf("%s:%d: ", file, line)
}

// definition reports a build, without what Repository leaves zero.
func definition(p *project.Picture, b *project.Build) api.Definition {
	d := api.Definition{
		Name:       b.Definition.Name,
		Origin:     b.Definition.Origin,
		ContextDir: contextDir(p, b.Definition),
		Dockerfile: dockerfilePath(p, b.Definition),
		Target:     b.Definition.Target,
		Platforms:  b.Definition.Platforms,
		Args:       b.Definition.ArgNames(),
	}
	if b.Problem != nil {
		d.Problem, d.Hint = readable(b.Problem.Text), b.Problem.Hint
		return d
	}
	d.IgnoreFile = ignoreFile(p, b)
	d.Context, d.Sent = size(b.Selection.Main.Context), size(b.Selection.Sent())
	d.Steps = len(b.Selection.Plan.Steps)
	d.Notes = assumptions(b)
	return d
}

// contextDir returns the context directory, relative to the repository, or its address
// without credentials.
func contextDir(p *project.Picture, d buildctx.Definition) string {
	if d.Remote() {
		return withoutCredentials(d.Context)
	}
	return readable(p.Relative(d.Context))
}

// dockerfilePath returns the path of the Dockerfile, relative to the repository. For an inline
// one, it is that of the file in which it is.
func dockerfilePath(p *project.Picture, d buildctx.Definition) string {
	if d.Inline != "" {
		return d.Origin
	}
	if d.Remote() && !filepath.IsAbs(d.Dockerfile) {
		return d.Dockerfile // within the remote context
	}
	return readable(p.Relative(d.Dockerfile))
}

func ignoreFile(p *project.Picture, b *project.Build) string {
	if f := b.Selection.Main.Ignore; f != nil && f.Path != "" {
		return readable(p.Relative(f.Path))
	}
	return ""
}

func withoutCredentials(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.User == nil {
		return address
	}
	u.User = nil
	return u.String()
}

// assumptions returns notes on what the figures of a build assume or leave out.
func assumptions(b *project.Build) []string {
	var notes []string
	s := b.Selection
	if s.Plan.Syntax != "" {
		notes = append(notes, fmt.Sprintf("# syntax=%s was read by stoker's own frontend, which may differ", s.Plan.Syntax))
	}
	if images := s.Plan.Assumed; len(images) > 0 {
		names := make([]string, len(images))
		for i, image := range images {
			names[i] = imageName(b.Definition, image)
		}
		text := "base image %s was not looked up: no ONBUILD, ENV, WORKDIR or USER of its own assumed"
		if len(images) > 1 {
			text = "base images %s were not looked up: no ONBUILD, ENV, WORKDIR or USER of their own assumed"
		}
		notes = append(notes, fmt.Sprintf(text, strings.Join(names, ", ")))
	}
	for _, image := range s.Plan.Remembered {
		notes = append(notes, fmt.Sprintf("base image %s is as it was last looked up; its ENV is not kept and counts as empty", imageName(b.Definition, image)))
	}
	for _, target := range slices.Sorted(maps.Keys(b.Definition.Linked)) {
		notes = append(notes, "starts from the result of target "+target+", whose steps and files are counted there")
	}
	for _, name := range b.Definition.UnknownArgs {
		notes = append(notes, "the value of build arg "+name+" is not known any more, and counts as not given")
	}
	if b.Definition.Remote() {
		notes = append(notes, "the build context is remote: nothing of this machine's files is sent as context")
	}
	for _, l := range s.Named {
		notes = append(notes, fmt.Sprintf("named context %s holds %s, %s; %s, %s of it are sent",
			l.Name, plural(l.Context.Files, "file"), bytes(l.Context.Bytes), plural(l.Sent.Files, "file"), bytes(l.Sent.Bytes)))
	}
	return notes
}

// imageName returns the name of an image without values that may be secret. Values of build
// args are replaced by the names of the args, and what a compose or bake file may have made
// from the environment is described by where it is.
func imageName(d buildctx.Definition, image string) string {
	if d.Inline != "" {
		return "of the inline Dockerfile"
	}
	for name, address := range d.NamedContexts {
		if ref, ok := strings.CutPrefix(address, "docker-image://"); ok && strings.Contains(image, ref) {
			return "of named context " + name
		}
	}
	const enough = 3 // values up to this length are not secrets, and occur in many names
	for name, value := range d.Args {
		if len(value) > enough {
			image = strings.ReplaceAll(image, value, "${"+name+"}")
		}
	}
	return image
}

func size(s buildctx.Size) api.Size { return api.Size{Files: s.Files, Bytes: s.Bytes} }

func bytes(n int64) string { return units.HumanSizeWithPrecision(float64(n), 3) }

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// readable returns name as valid UTF-8, with replacement characters.
func readable(name string) string { return strings.ToValidUTF8(name, "\uFFFD") }

// rawName returns the bytes of a name that readable had to change, else nil.
func rawName(name string) []byte {
	if utf8.ValidString(name) {
		return nil
	}
	return []byte(name)
}
