package report

import (
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/context/ignore"
	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/project"
)

// ContextExplain reports, for each path of req and each build with a context that it is in,
// what decides whether the build takes it. A path may be absolute or relative to req.Dir, to
// the repository or to a context; the first of these that exists on the disk counts. If none
// exists, the report says what would happen to such a file. The error is an *api.Error, for
// an unknown name.
func ContextExplain(p *project.Picture, req api.ContextExplainRequest) (api.ContextExplain, error) {
	builds, err := Select(p, req.Names)
	if err != nil {
		return api.ContextExplain{}, err
	}
	if len(builds) == 1 && builds[0].Problem != nil {
		return api.ContextExplain{}, selected(builds[0])
	}
	out := api.ContextExplain{Schema: api.ContextExplainSchema, Paths: []api.ExplainedPath{}}
	for _, asked := range paths(req) {
		e := api.ExplainedPath{Path: readable(asked), PathBytes: rawName(asked), Builds: []api.ExplainedBuild{}}
		name := locate(p, builds, req.Dir, asked)
		_, err := os.Lstat(name)
		e.Exists = err == nil
		for _, b := range builds {
			if b.Problem != nil {
				e.Builds = append(e.Builds, api.ExplainedBuild{Definition: b.Definition.Name, Problem: readable(b.Problem.Text), Steps: []api.ExplainStep{}})
				continue
			}
			for i, l := range b.Selection.Locals() {
				rel, ok := inside(l.Root, name)
				if !ok {
					continue
				}
				explained := explain(p, b.Selection, l, rel, e.Exists)
				explained.Definition = b.Definition.Name
				if i > 0 {
					explained.Named = l.Name
				}
				e.Builds = append(e.Builds, explained)
			}
		}
		out.Paths = append(out.Paths, e)
	}
	return out, nil
}

// paths returns the paths of a request as they were typed, which may not be UTF-8.
func paths(req api.ContextExplainRequest) []string {
	if len(req.PathsBytes) != len(req.Paths) {
		return req.Paths
	}
	list := make([]string, len(req.PathsBytes))
	for i, raw := range req.PathsBytes {
		list[i] = string(raw)
	}
	return list
}

// locate returns the absolute path that is meant by asked: see [ContextExplain].
func locate(p *project.Picture, builds []*project.Build, dir, asked string) string {
	if filepath.IsAbs(asked) {
		return asked
	}
	roots := []string{dir, p.Root}
	for _, b := range builds {
		if b.Selection == nil {
			continue
		}
		for _, l := range b.Selection.Locals() {
			if l.Root != "" {
				roots = append(roots, l.Root)
			}
		}
	}
	for _, root := range roots {
		name := filepath.Join(root, filepath.FromSlash(asked))
		if _, err := os.Lstat(name); err == nil {
			return name
		}
	}
	return filepath.Join(dir, filepath.FromSlash(asked))
}

// explain reports on the path rel in the context l. exists says whether it is on the disk.
func explain(p *project.Picture, s *buildctx.Selection, l buildctx.Local, rel string, exists bool) api.ExplainedBuild {
	d := l.Explain(rel)
	e := api.ExplainedBuild{Path: readable(rel), PathBytes: rawName(rel), Ignored: d.Ignored && rel != ".", Steps: []api.ExplainStep{}}
	if l.Ignore.Path != "" {
		e.IgnoreFile = readable(p.Relative(l.Ignore.Path))
	}
	for _, line := range d.Matched {
		e.Matched = append(e.Matched, ignoreLine(line))
	}
	if d.By.Number > 0 {
		by := ignoreLine(d.By)
		e.By = &by
	}
	var steps []int
	f, in := l.Lookup(rel)
	switch {
	case in && !f.Mode.IsDir():
		e.Type, e.Size, e.Sent, steps = buildctx.TypeOf(f.Mode), f.Bytes, f.Sent, f.Steps
	case in || rel == ".":
		e.Type = "dir"
		steps = below(p, l, rel, &e)
	case !exists:
		for i := range s.Plan.Steps {
			if l.WouldTake(i, rel) {
				steps = append(steps, i)
			}
		}
	case e.Ignored && isFolder(l, rel):
		e.Type = "dir"
		below(p, l, rel, &e)
	}
	for _, i := range steps {
		step := s.Plan.Steps[i]
		e.Steps = append(e.Steps, api.ExplainStep{Name: readable(step.Name), Lines: [2]int{step.Lines.From, step.Lines.To}})
	}
	return e
}

func ignoreLine(l ignore.Line) api.IgnoreLine {
	return api.IgnoreLine{Line: l.Number, Pattern: readable(l.Pattern)}
}

func isFolder(l buildctx.Local, rel string) bool {
	fi, err := os.Lstat(filepath.Join(l.Root, filepath.FromSlash(rel)))
	return err == nil && fi.IsDir()
}

// below sets in e the sizes of what is in the folder rel, and returns the steps that take
// anything in it.
func below(p *project.Picture, l buildctx.Local, rel string, e *api.ExplainedBuild) []int {
	var steps []int
	e.Below = &api.ExplainBelow{}
	for f := range l.All() {
		if !under(rel, f.Path) {
			continue
		}
		add(&e.Below.Context, f)
		if f.Sent {
			add(&e.Below.Sent, f)
			e.Sent = true
		}
		steps = append(steps, f.Steps...)
	}
	var unread []string
	e.Below.Ignored, unread = p.Ignored(l, rel)
	for _, name := range unread {
		e.Below.Unread = append(e.Below.Unread, readable(strings.TrimPrefix(path.Clean(name), "./")))
	}
	slices.Sort(steps)
	return slices.Compact(steps)
}
