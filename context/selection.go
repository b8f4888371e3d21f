package buildctx

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/context/ignore"
)

// Size is a number of files (all that is not a directory) and their bytes; the
// second name of a hard linked file adds no bytes.
type Size struct {
	Files int
	Bytes int64
}

// A Selection is what a definition takes of the files on this machine: what
// the ignore file leaves, what of it the builder asks for, and which step takes
// which file.
type Selection struct {
	Definition Definition
	Plan       *dockerfile.Plan
	// Main is the build context itself. Named are the named contexts that are
	// directories and that the build asks for.
	Main  Local
	Named []Local

	images []knownImage
	worker dockerfile.Worker
}

// Views finds the picture of a directory: the tree that holds it, and its place
// in there. Compute asks for each local context of a definition.
type Views func(dir string) (tree *Tree, sub string, err error)

// Compute converts the definition and selects its files out of the trees that
// views gives. What BuildKit would refuse is a [*dockerfile.Error] or an
// [*ignore.Error].
func Compute(ctx context.Context, def Definition, resolver dockerfile.Resolver, views Views) (*Selection, error) {
	return ComputeFrom(ctx, def, resolver, views, nil)
}

// ComputeFrom is Compute with the Dockerfile and the ignore files that read gives
// by their absolute paths, which need not be on the disk: those of a commit over
// its tree. Of a file that is not there the error of read wraps fs.ErrNotExist;
// nil reads the disk.
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
			return nil, &dockerfile.Error{File: def.Dockerfile, Err: errors.New("lies in a remote context, which is not fetched")}
		}
	}
	ignored, err := find(main, def.Dockerfile)
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
	if plan.External && ignored.Specific && isEmpty(read, ignored.Path) {
		// See dockerfile.Plan.External: a frontend image does not see it.
		if ignored, err = find(main, ""); err != nil {
			return nil, err
		}
	}
	s := &Selection{Definition: def, Plan: plan, images: memory.images, worker: in.Worker}
	s.Main = Local{Name: dockerfile.MainContext, Root: main, Ignore: ignored}
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

// Update returns the selection out of later trees, with work that follows what
// of the directories differs. The Dockerfile and the ignore files must be what
// they were when s was computed, and what is known of base images too (see
// Current). s itself stays as it is.
func (s *Selection) Update(ctx context.Context, views Views) (*Selection, error) {
	next := *s
	next.Named = slices.Clone(s.Named)
	var err error
	if s.Main.Root != "" {
		if next.Main, err = s.Main.update(ctx, s.Plan, views); err != nil {
			return nil, err
		}
	}
	for i, l := range s.Named {
		if next.Named[i], err = l.update(ctx, s.Plan, views); err != nil {
			return nil, err
		}
	}
	return &next, nil
}

func isEmpty(read func(name string) ([]byte, error), file string) bool {
	if read == nil {
		read = os.ReadFile
	}
	text, err := read(file)
	return err == nil && len(text) == 0
}

// Input is the definition as the frontend takes it.
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

// Convert has BuildKit's frontend read text as d's Dockerfile, with the images
// that it starts from assumed.
func (d Definition) Convert(ctx context.Context, text []byte) (*dockerfile.Plan, error) {
	in := d.Input()
	in.Text = text
	return dockerfile.Convert(ctx, in, nil)
}

// Sent returns what the builder asks for over all contexts.
func (s *Selection) Sent() Size {
	total := s.Main.Sent
	for _, l := range s.Named {
		total.Files += l.Sent.Files
		total.Bytes += l.Sent.Bytes
	}
	return total
}

// Locals returns the build context and then the named ones.
func (s *Selection) Locals() []Local { return append([]Local{s.Main}, s.Named...) }

func requests(plan *dockerfile.Plan, local string) []dockerfile.Request {
	var list []dockerfile.Request
	for _, r := range plan.Requests {
		if r.Local == local {
			list = append(list, r)
		}
	}
	return list
}
