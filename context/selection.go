package buildctx

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/context/ignore"
)

// Size is a number of files and the bytes of their content. Everything that is not
// a directory counts as a file; a further name of a hard linked file adds no bytes.
type Size struct {
	Files int
	Bytes int64
}

// A Selection says which files on this machine a definition uses: what the ignore
// file leaves, which of that the builder asks for, and which step takes which file.
// Make one with [Compute]. It is immutable.
type Selection struct {
	Definition Definition
	Plan       *dockerfile.Plan
	Main       Local   // the build context
	Named      []Local // the named contexts that are directories and that the build uses, by name

	images []knownImage      // what the resolver answered
	worker dockerfile.Worker // what it built for
}

// Views returns the tree that shows the directory dir, an absolute path, and its
// path in that tree. [Compute] calls it for each local context of a definition.
type Views func(dir string) (tree *Tree, sub string, err error)

// Compute converts the definition's Dockerfile and selects its files from the trees
// that views returns. An error that BuildKit would also report is a
// [*dockerfile.Error] or an [*ignore.Error]; an [*UnreadableError] is a file that a
// build could not read.
func Compute(ctx context.Context, def Definition, resolver dockerfile.Resolver, views Views) (*Selection, error) {
	return ComputeFrom(ctx, def, resolver, views, nil)
}

// ComputeFrom is Compute with a function that reads the Dockerfile and the ignore
// files by their absolute paths, such as one that reads them from a commit. For a
// missing file the error of read must wrap fs.ErrNotExist. A nil read is os.ReadFile.
func ComputeFrom(ctx context.Context, def Definition, resolver dockerfile.Resolver, views Views,
	read func(name string) ([]byte, error),
) (*Selection, error) {
	find := ignore.Find
	if read != nil {
		find = func(dir, dockerfile string) (*ignore.File, error) { return ignore.FindIn(read, dir, dockerfile) }
	}
	main := def.Context
	if def.Remote() {
		main = ""
		if def.Inline == "" && !filepath.IsAbs(def.Dockerfile) {
			return nil, &dockerfile.Error{
				File: def.Dockerfile, Err: errors.New("lies in a remote context, which is not fetched"),
				Hint: "name the other builds, or list them under `builds` in stoker.yaml",
			}
		}
	}
	ignoreFile, err := find(main, def.Dockerfile)
	if err != nil {
		return nil, err
	}
	memory := &memory{Resolver: resolver}
	in := def.Input()
	in.Read, in.Worker = read, dockerfile.WorkerOf(resolver)
	plan, err := dockerfile.Convert(ctx, in, memory)
	if err != nil {
		return nil, err
	}
	if plan.External && ignoreFile.Specific && isEmpty(read, ignoreFile.Path) {
		// A frontend image does not see the file: see dockerfile.Plan.External.
		if ignoreFile, err = find(main, ""); err != nil {
			return nil, err
		}
	}
	s := &Selection{Definition: def, Plan: plan, images: memory.images, worker: in.Worker}
	s.Main = Local{Name: dockerfile.MainContext, Root: main, Ignore: ignoreFile}
	local := def.LocalContexts()
	for _, name := range slices.Sorted(maps.Keys(local)) {
		l := Local{Name: name, Root: local[name]}
		if l.Ignore, err = find(l.Root, ""); err != nil {
			return nil, err
		}
		if len(requests(plan, name)) > 0 {
			s.Named = append(s.Named, l)
		}
	}
	return s.Update(ctx, views)
}

// Update returns the selection from later trees. Its cost grows with what differs
// in them, not with their size. The Dockerfile, the ignore files and what is known
// about base images must be the same as when s was computed (see
// [Selection.Current]). s itself does not change.
func (s *Selection) Update(ctx context.Context, views Views) (*Selection, error) {
	next := *s
	next.Named = slices.Clone(s.Named)
	var err error
	if s.Main.Root != "" {
		if next.Main, err = s.Main.update(ctx, s.Plan, views); err != nil {
			return nil, s.located(err)
		}
	}
	for i, l := range s.Named {
		if next.Named[i], err = l.update(ctx, s.Plan, views); err != nil {
			return nil, s.located(err)
		}
	}
	return &next, nil
}

// located returns err with the place in the Dockerfile if it is a pattern that a step has.
func (s *Selection) located(err error) error {
	var ie *ignore.Error
	if !errors.As(err, &ie) || ie.File != "" {
		return err
	}
	e := &dockerfile.Error{File: cmp.Or(s.Definition.Dockerfile, "inline Dockerfile"), Err: ie.Err, Hint: ie.Hint}
	for _, step := range s.Plan.Steps {
		for _, t := range step.Takes {
			for _, p := range slices.Concat([]string{t.Path}, t.Include, t.Exclude) {
				if _, err := patterns([]string{p}); err != nil {
					e.Line = step.Lines.From
					return e
				}
			}
		}
	}
	return e
}

// isEmpty reports whether a file can be read and has no content.
func isEmpty(read func(name string) ([]byte, error), file string) bool {
	if read == nil {
		read = os.ReadFile
	}
	text, err := read(file)
	return err == nil && len(text) == 0
}

// Input returns the definition in the form that package dockerfile converts.
func (d Definition) Input() dockerfile.Input {
	in := dockerfile.Input{
		Dockerfile: d.Dockerfile, Context: d.Context, Target: d.Target, Args: d.Args,
		Platforms: d.Platforms, NamedContexts: d.NamedContexts,
		Options: d.Options, NoCache: d.NoCache, NoCacheStages: d.NoCacheStages,
	}
	if d.Inline != "" {
		in.Text = []byte(d.Inline)
	}
	if d.Shown != "" {
		in.Shown = []byte(d.Shown)
	}
	for target, linked := range d.Linked {
		if in.Linked == nil {
			in.Linked = map[string]dockerfile.Input{}
		}
		in.Linked[target] = linked.Input()
	}
	if d.Remote() {
		in.Context, in.RemoteContext = "", d.Context
	}
	return in
}

// Convert converts text as d's Dockerfile, without knowing anything about the base
// images.
func (d Definition) Convert(ctx context.Context, text []byte) (*dockerfile.Plan, error) {
	in := d.Input()
	in.Text = text
	return dockerfile.Convert(ctx, in, nil)
}

// Sent returns the size of what the builder asks for, over all contexts.
func (s *Selection) Sent() Size {
	total := s.Main.Sent
	for _, l := range s.Named {
		total.Files += l.Sent.Files
		total.Bytes += l.Sent.Bytes
	}
	return total
}

// Locals returns the build context, followed by the named ones.
func (s *Selection) Locals() []Local { return append([]Local{s.Main}, s.Named...) }

// requests returns the plan's requests for files of one local context.
func requests(plan *dockerfile.Plan, local string) []dockerfile.Request {
	var list []dockerfile.Request
	for _, r := range plan.Requests {
		if r.Local == local {
			list = append(list, r)
		}
	}
	return list
}
