// Package scaffold writes a first Dockerfile and ignore file for an app in Node.js,
// Python or Go. What it writes follows the rules of internal/suggest.
//
// [Detect] finds the [App]s in a tree of files, each with the [Evidence] for what was
// concluded about it. [App.Write] returns the two texts for an app, and [Save] writes
// them to disk. Nothing is run or fetched. From the files of a project, only names,
// versions and paths that were checked get into the texts. The commands and folders of
// package managers are in tables (nodetools.go, pythontools.go), and the known versions
// in versions.go.
//
// The texts are made by code and not from templates: half of the lines depend on what
// was found, and a template full of conditions would be harder to read.
//
// Values are safe for concurrent use once they are returned.
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

// Evidence says what was concluded from a file.
type Evidence struct {
	Path string // relative to the root; "" for a conclusion from what was not found
	Says string // the conclusion, in a few words: "npm"
}

// An App is something that an image can be made of.
type App struct {
	// Dir is the folder of the app. Context is the build context, which is Dir or, if a
	// lock file is shared, a folder above it. Both are relative to the root and
	// slash-separated; "." is the root.
	Dir, Context string
	Name         string // from its manifest or folder, made a plain word
	Language     Language
	Framework    string // "" if it has none that is known
	Tool         string // the package manager
	Version      string // of the language, as in the tag of a base image
	Entry        string // what is started: a file, module or folder in Dir; "" if it is not known
	Port         int    // that it listens on; 0 if it does not seem to listen
	Health       string // the path that a health check requests
	Evidence     []Evidence

	labels labels
	maker
}

// A maker is the part of an App that depends on its language.
type maker interface {
	// bases returns the kinds of base that the app can run on, the best first, and for
	// each other kind why not.
	bases(a *App) ([]Base, map[Base]string)
	// write adds lines to the Dockerfile and the ignore file. It keeps a as it is.
	write(a *App, base Base, d *page, ignore *ignoreList)
	// started sets a.Entry to what the user named, or returns an error for the user.
	started(a *App, entry string) error
}

// A Choice overrides what was detected. The zero value overrides nothing.
type Choice struct {
	Base   Base
	Port   int    // -1 for no port
	Entry  string // a file, module or folder of package main
	Main   bool   // it is the main one of several programs in a Go module, and gets the Dockerfile beside go.mod
	Health string
}

// Files are what is written for an app.
type Files struct {
	// Dockerfile and Ignore are paths relative to the root.
	Dockerfile, Ignore string
	// DockerfileText and IgnoreText are their contents.
	DockerfileText, IgnoreText []byte
	Base                       Base     // that the image has
	Hints                      []string // what the user should know or do
}

// ErrEntry means that it is not known what an app starts.
var ErrEntry = errors.New("nothing tells what it starts")

// A RefusedError means that an app cannot run on the base that was asked for.
type RefusedError struct {
	Base   Base
	Reason string
	Can    []Base // those that it can run on
}

// Error says why the app cannot run on the base, and which others it can run on.
func (e *RefusedError) Error() string {
	var can []string
	for _, b := range e.Can {
		can = append(can, string(b))
	}
	return fmt.Sprintf("the base %s is out of the question: %s; take %s", e.Base, e.Reason, strings.Join(can, " or "))
}

// plain matches the paths and versions that can be written to a Dockerfile as they are:
// without spaces, quotes, wildcards and variables.
var plain = regexp.MustCompile(`^[A-Za-z0-9._@+~/()-]+$`)

// Choose returns the app with what was chosen in place of what was detected. It returns
// an error, which is meant for the user, if the entry makes no sense.
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

// Write returns the files for the app on a base, or on the best one for "". The error is
// [ErrEntry], a [*RefusedError], or that a path cannot be written to a Dockerfile.
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
		// An ignore file beside the Dockerfile, which BuildKit prefers to that of the
		// context (frontend/dockerui), lets each app have its own.
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

// contextName returns the build context in words.
func (a App) contextName() string {
	if a.Context == "." {
		return "the repository's root"
	}
	return a.Context
}

// inContext returns a path in the app's folder relative to the build context.
func (a *App) inContext(name string) string {
	if a.Dir == a.Context {
		return path.Clean(name)
	}
	return path.Join(strings.TrimPrefix(strings.TrimPrefix(a.Dir, a.Context), "/"), name)
}

// say adds evidence.
func (a *App) say(file, format string, args ...any) {
	a.Evidence = append(a.Evidence, Evidence{Path: file, Says: fmt.Sprintf(format, args...)})
}

// Detect returns the apps in the folder dir of a tree and below it, sorted by folder. If
// a folder has files of several languages, there may be an app for each. All of the tree
// is read even if dir is a part of it, since workspaces are defined above their members.
// name is the name of the root folder, after which an app in it without a name is called.
// An error means that the root cannot be read.
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
