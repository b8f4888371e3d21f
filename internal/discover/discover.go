// Package discover finds what a repository builds: its definitions.
//
// If stoker.yaml lists builds, they are all there is. Else every compose
// project and bake file is read, and each Dockerfile that none of them uses
// becomes a definition of its own. Directories whose content is somebody
// else's or no build of this repository are not looked into: hidden ones,
// node_modules, vendor, testdata and fixtures.
//
// Nothing is fetched, and nothing of the repository is run: remote includes of
// a compose file are a [Problem], and bake files are evaluated in process, by a
// language without input or output.
//
// One broken file does not hide the others: what went wrong is a [Problem] with
// file and line, what was left out or guessed a [Note]. Neither ever holds the
// value of a variable or build arg. Values live in Definition.Args only.
//
// Discover holds no state and may run concurrently; a [Result] is not changed
// after it was returned.
package discover

import (
	"context"
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/internal/config"
)

// Options change how Discover looks. The zero value walks the repository and
// knows no environment.
type Options struct {
	// Env are the variables for interpolation, usually the process's own.
	Env map[string]string
	// Learnt are builds that were observed: those that nothing declares become
	// definitions, and say what context a Dockerfile is built from.
	Learnt []buildctx.Definition
	// Paths yields the repository's files (relative, slash-separated) and
	// spares Discover a walk of its own. Which directories are looked into is
	// decided the same way.
	Paths func(yield func(string) bool)
}

// Note is something worth telling that is not wrong.
type Note struct {
	// File is relative to the repository and slash-separated; Line counts
	// from 1, 0 means the whole file.
	File string
	Line int
	// Text is one sentence without a full stop.
	Text string
}

// Problem is something that kept a file, or a part of it, from being read.
type Problem struct {
	// File and Line are as in Note.
	File string
	Line int
	// Text says what is wrong, Hint what to do about it. Hint may be empty.
	Text, Hint string
}

// Result is what a repository builds.
type Result struct {
	// Definitions are sorted by name, which is unique.
	Definitions []buildctx.Definition
	// Notes and Problems are sorted by file and line.
	Notes    []Note
	Problems []Problem
	// Files are the absolute paths of all files that were read, or looked for
	// beside those that were, sorted: a change to one asks for a new Discover.
	Files []string

	root    string
	lookups []lookup // sorted by pattern
}

// Discover returns the definitions of the repository at root, which must be
// absolute. Its error is that the repository itself cannot be read or that ctx
// has ended.
func Discover(ctx context.Context, root string, cfg config.Config, o Options) (Result, error) {
	f := &finder{root: filepath.Clean(root), options: o, files: map[string]bool{}, lookups: map[string]bool{}}
	f.read(filepath.Join(f.root, config.FileName))
	if len(cfg.Builds) > 0 {
		f.listed(cfg.Builds)
		return f.result(), ctx.Err()
	}
	found, err := f.candidates(ctx)
	if err != nil {
		return Result{}, err
	}
	for _, project := range found.compose {
		f.compose(ctx, project)
	}
	for _, files := range found.bake {
		f.bake(ctx, files)
	}
	for i := range f.definitions {
		f.definitions[i].Dockerfile = f.actual(f.definitions[i].Dockerfile)
	}
	f.dropTwins()
	for _, file := range found.dockerfiles {
		f.dockerfile(ctx, file)
	}
	f.learnt()
	if err := ctx.Err(); err != nil {
		return Result{}, err
	}
	return f.result(), nil
}

// finder collects a Result.
type finder struct {
	root    string
	options Options

	definitions []buildctx.Definition
	notes       []Note
	problems    []Problem
	files       map[string]bool
	lookups     map[string]bool // see lookup
}

// read records that the file at an absolute path was read or looked for, and
// what it leads to as a link.
func (f *finder) read(path string) {
	for _, place := range Places(path) {
		f.files[place] = true
	}
}

// rel returns path as it is shown: relative to the repository.
func (f *finder) rel(path string) string {
	rel, err := filepath.Rel(f.root, path)
	if err != nil {
		return path
	}
	return filepath.ToSlash(rel)
}

func (f *finder) note(file string, line int, text string) {
	f.notes = append(f.notes, Note{File: file, Line: line, Text: text})
}

func (f *finder) problem(p Problem) { f.problems = append(f.problems, p) }

// listed takes the builds of stoker.yaml as they are.
func (f *finder) listed(builds []config.Build) {
	for _, b := range builds {
		d := buildctx.Definition{
			Name: b.Name, Origin: config.FileName, Context: b.Context, Dockerfile: b.Dockerfile,
			Target: b.Target, Args: b.Args, Platforms: b.Platforms,
		}
		if !d.Remote() {
			d.Context = filepath.Join(f.root, filepath.FromSlash(b.Context))
			d.Dockerfile = f.actual(filepath.Join(d.Context, filepath.FromSlash(b.Dockerfile)))
		}
		f.definitions = append(f.definitions, d)
	}
}

// dropTwins keeps one of several definitions that are the same build: compose
// projects often run one image as two services.
func (f *finder) dropTwins() {
	var kept []buildctx.Definition
	for _, d := range f.definitions {
		twin := slices.IndexFunc(kept, func(k buildctx.Definition) bool { return sameBuild(k, d) })
		if twin < 0 {
			kept = append(kept, d)
			continue
		}
		kept[twin].Services = append(kept[twin].Services, d.Services...)
		if kept[twin].Name != d.Name {
			f.note(d.Origin, 0, d.Name+" is the same build as "+kept[twin].Name)
		}
	}
	f.definitions = kept
}

// sameBuild reports whether a and b ask BuildKit for the same.
func sameBuild(a, b buildctx.Definition) bool {
	return a.Context == b.Context && a.Dockerfile == b.Dockerfile && a.Inline == b.Inline && a.Target == b.Target &&
		maps.Equal(a.Args, b.Args) && slices.Equal(a.Platforms, b.Platforms) && maps.Equal(a.NamedContexts, b.NamedContexts) &&
		a.Options.Equal(b.Options) && a.NoCache == b.NoCache && slices.Equal(a.NoCacheStages, b.NoCacheStages) && slices.Equal(a.Imports, b.Imports) &&
		maps.EqualFunc(a.Linked, b.Linked, sameBuild)
}

// result sorts and names what was collected.
func (f *finder) result() Result {
	nameAll(f.definitions)
	slices.SortFunc(f.definitions, func(a, b buildctx.Definition) int { return strings.Compare(a.Name, b.Name) })
	slices.SortStableFunc(f.notes, func(a, b Note) int { return compareAt(a.File, a.Line, b.File, b.Line) })
	slices.SortStableFunc(f.problems, func(a, b Problem) int { return compareAt(a.File, a.Line, b.File, b.Line) })
	var lookups []lookup
	for _, pattern := range slices.Sorted(maps.Keys(f.lookups)) {
		lookups = append(lookups, lookup{pattern, f.lookups[pattern]})
	}
	return Result{
		Definitions: f.definitions, Notes: slices.Compact(f.notes), Problems: f.problems,
		Files: slices.Sorted(maps.Keys(f.files)), root: f.root, lookups: lookups,
	}
}

func compareAt(fileA string, lineA int, fileB string, lineB int) int {
	if c := strings.Compare(fileA, fileB); c != 0 {
		return c
	}
	return lineA - lineB
}

// errNotRegular and errTooLarge keep a named pipe, a device or a huge file in
// a repository from stopping its discovery.
var (
	errNotRegular = errors.New("is not a regular file")
	errTooLarge   = errors.New("is larger than 4 MiB")
)
