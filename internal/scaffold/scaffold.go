// Package scaffold writes the first Dockerfile and ignore file of an app in
// Node.js, Python or Go, by the rules that internal/suggest holds others to.
//
// [Detect] looks at a tree of files and returns the [App]s in it, each with the
// [Evidence] for what was concluded. [App.Write] turns one into two texts. Both
// are pure: nothing is run, fetched or written, and no file's content but names,
// versions and paths that were checked reaches a text. What a package manager's
// commands and folders are stands in tables (nodetools.go, pythontools.go), what
// versions there are in versions.go.
//
// The texts are put together by plain code, not by templates: half of the lines
// hang on what was found, and a template of conditions is harder to read than
// the code that adds a line where it is needed.
//
// All values are safe for concurrent use once returned.
package scaffold

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
)

// A Language is what an app is written in.
type Language string

// The languages.
const (
	Node   Language = "node"
	Python Language = "python"
	Go     Language = "go"
)

// Languages lists them all, in the order in which they are shown.
func Languages() []Language { return []Language{Node, Python, Go} }

// A Base is the kind of image that an app runs on.
type Base string

// The kinds of base images.
const (
	Slim       Base = "slim"       // Debian without what only builds need
	Alpine     Base = "alpine"     // Alpine Linux: small, another C library
	Distroless Base = "distroless" // the runtime alone: no shell, no package manager
	Scratch    Base = "scratch"    // nothing at all
)

// Bases lists them all.
func Bases() []Base { return []Base{Slim, Alpine, Distroless, Scratch} }

// Evidence is what a conclusion was drawn from.
type Evidence struct {
	Path string // of the file, relative to the root; "" for what was not found anywhere
	Says string // the conclusion, as a phrase: "npm"
}

// An App is something that an image can be made of.
type App struct {
	// Dir is its folder, Context the build context, which is Dir or above it where
	// a lock file is shared. Both are relative to the root, slash-separated; "." is
	// the root.
	Dir, Context string
	Name         string // a plain word, from its manifest or its folder
	Language     Language
	Framework    string // "" for none that is known
	Tool         string // the package manager
	Version      string // of the language, as in the tag of a base image
	Entry        string // what is started, relative to Dir; "" if that could not be told
	Port         int    // where it listens; 0 if it does not, as far as is seen
	Health       string // the path that a health check asks for
	Evidence     []Evidence

	labels labels
	maker
}

// A maker is what of an App depends on its language.
type maker interface {
	// bases returns the kinds of base that it can run on, the best first, and why
	// the others are out of the question.
	bases(a *App) ([]Base, map[Base]string)
	// write adds the Dockerfile and the ignore file.
	write(a *App, base Base, d *page, ignore *ignoreList)
	// started sets the entry that the user names.
	started(a *App, entry string) error
}

// A Choice overrides what was detected. The zero value overrides nothing.
type Choice struct {
	Base   Base
	Port   int    // -1 for none
	Entry  string // file, module or folder of package main
	Main   bool   // of several programs of a Go module it is the one: its files go beside go.mod
	Health string
}

// Files are what is written for an app.
type Files struct {
	// Dockerfile and Ignore are paths relative to the root.
	Dockerfile, Ignore string
	// DockerfileText and IgnoreText are their contents.
	DockerfileText, IgnoreText []byte
	Base                       Base // the kind that was taken
	// Hints are what the reader should know or do beside.
	Hints []string
}

// ErrEntry says that nothing tells what an app starts.
var ErrEntry = errors.New("nothing tells what it starts")

// A RefusedError is a base that the app cannot run on.
type RefusedError struct {
	Base   Base
	Reason string
	Can    []Base
}

// Error says why, and what can be taken instead.
func (e *RefusedError) Error() string {
	var can []string
	for _, b := range e.Can {
		can = append(can, string(b))
	}
	return fmt.Sprintf("the base %s is out of the question: %s; take %s", e.Base, e.Reason, strings.Join(can, " or "))
}

// plain are the paths that are written into a Dockerfile: no spaces, quotes,
// wildcards or variables.
var plain = regexp.MustCompile(`^[A-Za-z0-9._@+~/()-]+$`)

// Choose returns the app with what was chosen in place of what was detected. Its
// errors are the user's: an entry that is no path or module.
func (a App) Choose(c Choice) (App, error) {
	a.Evidence = slices.Clone(a.Evidence)
	switch {
	case c.Port < 0:
		a.Port = 0
	case c.Port > 0:
		a.Port = c.Port
	}
	if c.Health != "" {
		a.Health = c.Health
	}
	if g, ok := a.maker.(*golang); ok && c.Main {
		a.Dir = g.module
	}
	if c.Entry != "" {
		if !plain.MatchString(strings.Replace(c.Entry, ":", "/", 1)) {
			return App{}, fmt.Errorf("the entry %q has characters that do not go into a Dockerfile unquoted: rename it", c.Entry)
		}
		if err := a.started(&a, c.Entry); err != nil {
			return App{}, err
		}
	}
	return a, nil
}

// Write returns the texts for the app. Errors: [ErrEntry], a [*RefusedError], or a
// folder whose name does not go into a Dockerfile.
func (a App) Write(base Base) (Files, error) {
	for _, dir := range []string{a.Dir, a.Context, a.Entry} {
		if dir != "" && !plain.MatchString(strings.Replace(dir, ":", "/", 1)) {
			return Files{}, fmt.Errorf("the path %q has characters that do not go into a Dockerfile unquoted: rename it", dir)
		}
	}
	if a.Entry == "" {
		return Files{}, ErrEntry
	}
	can, why := a.bases(&a)
	if base == "" {
		base = can[0]
	}
	if !slices.Contains(can, base) {
		return Files{}, &RefusedError{Base: base, Reason: cmp.Or(why[base], "no such image is known"), Can: can}
	}
	f := Files{Dockerfile: path.Join(a.Dir, "Dockerfile"), Ignore: path.Join(a.Dir, ".dockerignore"), Base: base}
	if a.Dir != a.Context {
		// BuildKit takes the ignore file beside the Dockerfile before that of the
		// context (BuildKit: frontend/dockerui), so each app has its own.
		f.Ignore = f.Dockerfile + ".dockerignore"
	}
	d, ignore := &page{}, &ignoreList{}
	d.add("# syntax=docker/dockerfile:1")
	if a.Dir != a.Context {
		d.note("Build it from " + a.contextName() + ": docker build -f " + strings.TrimPrefix(f.Dockerfile, strings.TrimPrefix(a.Context+"/", "./")) + " .")
	}
	a.write(&a, base, d, ignore)
	f.DockerfileText, f.IgnoreText = d.text(), ignore.text()
	f.Hints = d.hints
	return f, nil
}

// contextName names the build context for a reader.
func (a App) contextName() string {
	if a.Context == "." {
		return "the repository's root"
	}
	return a.Context
}

// inContext is a path of the app's folder, relative to the build context.
func (a *App) inContext(name string) string {
	if a.Dir == a.Context {
		return path.Clean(name)
	}
	return path.Join(strings.TrimPrefix(strings.TrimPrefix(a.Dir, a.Context), "/"), name)
}

// say notes evidence.
func (a *App) say(file, format string, args ...any) {
	a.Evidence = append(a.Evidence, Evidence{Path: file, Says: fmt.Sprintf(format, args...)})
}

// Detect returns the apps at and below a folder of the tree, sorted by folder. A
// folder of several languages has an app for each that can be told to start. The
// root's own files decide what a workspace is, wherever dir lies in it; name is that
// of the root, for an app that gives itself none. The error is about reading the
// tree.
func Detect(fsys fs.FS, dir, name string) ([]App, error) {
	s, err := look(fsys)
	s.name = name
	if err != nil {
		return nil, err
	}
	var apps []App
	for _, find := range []func(*survey) []App{nodeApps, pythonApps, goApps} {
		for _, a := range find(s) {
			if dir == "." || a.Dir == dir || strings.HasPrefix(a.Dir, dir+"/") {
				apps = append(apps, a)
			}
		}
	}
	slices.SortStableFunc(apps, func(a, b App) int { return strings.Compare(a.Dir, b.Dir) })
	return apps, nil
}
