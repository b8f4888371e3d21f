// Package discover finds the builds that a repository defines: its definitions.
//
// If stoker.yaml lists builds, these are the definitions. Otherwise they come from every
// compose project and bake file, and each Dockerfile that none of those uses becomes a
// definition of its own. Directories that hold dependencies, fixtures or hidden files
// (node_modules, vendor, testdata, .git) are not searched.
//
// A repository is not trusted. Nothing is fetched: a remote include of a compose file is a
// [Problem]. Nothing is run: the language of bake files has no input or output, and is
// evaluated in process. Files are read only up to a size, and only regular ones.
//
// A broken file does not hide the others. What is wrong with it is a [Problem], with file
// and line; what was left out or guessed is a [Note]. Neither contains the value of a
// variable or build arg: these are in Definition.Args only.
//
// [Discover] keeps no state and may be called concurrently. A [Result] is immutable.
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

// Options change how Discover searches. With the zero value it walks the repository and
// knows no variables.
type Options struct {
	// Env are the variables that files may refer to, usually those of the process.
	Env map[string]string
	// Learnt are builds that were observed. One that no file defines becomes a
	// definition. They also say from which context a Dockerfile is built.
	Learnt []buildctx.Definition
	// Paths, unless nil, yields the files of the repository (relative,
	// slash-separated), so that Discover need not walk it. Files in directories that
	// are not searched are ignored.
	Paths func(yield func(string) bool)
}

// A Note tells what was guessed or left out, where nothing is wrong.
type Note struct {
	// File is relative to the repository and slash-separated; Line counts
	// from 1, 0 means the whole file.
	File string
	Line int
	// Text is one sentence without a full stop.
	Text string
}

// A Problem tells why a file, or a part of it, could not be read.
type Problem struct {
	// File and Line are as in Note.
	File string
	Line int
	// Text says what is wrong, Hint what to do about it. Hint may be empty.
	Text, Hint string
}

// A Result is what Discover found.
type Result struct {
	// Definitions are sorted by name, which is unique.
	Definitions []buildctx.Definition
	// Notes and Problems are sorted by file and line.
	Notes    []Note
	Problems []Problem
	// Files are the absolute paths, sorted, of all files that were read or looked
	// for. If one changes, appears or goes, the result is out of date.
	Files []string

	root    string
	lookups []lookup // sorted by pattern
}

// Discover returns the definitions of the repository at root, an absolute path. It fails
// only if the repository itself cannot be read, or ctx is done.
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

// A finder collects a Result.
type finder struct {
	root    string // absolute
	options Options

	definitions []buildctx.Definition
	notes       []Note
	problems    []Problem
	files       map[string]bool // Result.Files
	lookups     map[string]bool // by pattern: whether it was met (see lookup)
}

// read records that the file at an absolute path, and those that it links to, were read
// or looked for.
func (f *finder) read(path string) {
	for _, place := range Places(path) {
		f.files[place] = true
	}
}

// rel returns an absolute path relative to the repository, slash-separated, for messages.
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

// listed adds the builds of stoker.yaml.
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

// dropTwins removes definitions that repeat an earlier one: compose projects often run one
// image as several services.
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

// sameBuild reports whether a and b are the same request to BuildKit.
func sameBuild(a, b buildctx.Definition) bool {
	return a.Context == b.Context && a.Dockerfile == b.Dockerfile && a.Inline == b.Inline && a.Target == b.Target &&
		maps.Equal(a.Args, b.Args) && slices.Equal(a.Platforms, b.Platforms) && maps.Equal(a.NamedContexts, b.NamedContexts) &&
		a.Options.Equal(b.Options) && a.NoCache == b.NoCache && slices.Equal(a.NoCacheStages, b.NoCacheStages) && slices.Equal(a.Imports, b.Imports) &&
		maps.EqualFunc(a.Linked, b.Linked, sameBuild)
}

// result returns what was collected, sorted and with unique names.
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

// compareAt orders places in files by file and line.
func compareAt(fileA string, lineA int, fileB string, lineB int) int {
	if c := strings.Compare(fileA, fileB); c != 0 {
		return c
	}
	return lineA - lineB
}

// Files that are not read: a named pipe, a device or a huge file could hold Discover up
// for ever.
var (
	errNotRegular = errors.New("is not a regular file")
	errTooLarge   = errors.New("is larger than 4 MiB")
)
