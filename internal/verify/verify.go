// Package verify proves that two Dockerfiles make the same image, by building
// both and comparing what a container would find.
//
// [Open] builds a definition as it is; [Original.Check] builds it with a change
// and compares. Every build runs all of its steps anew, and its image is read
// while the builder sends it: the layers are applied as a container runtime does
// and a digest of each file is kept, so that nothing is written to disk and
// memory does not grow with the size of files.
//
// Compared are the files of the final image (type, mode, owner, link target, hard
// links, extended attributes, device numbers and content; neither times nor the
// layers that they came in) and the image's config object, os, architecture and
// variant. Where a difference shows, the original is built once more, after the
// change: what differs between builds of the original cannot be held against the
// change. That is left out of the comparison and told ([Result.Uncovered]).
//
// All values are immutable once returned, an [Original] apart, which serves one
// goroutine.
package verify

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/opencontainers/go-digest"

	"github.com/stokerd/stoker/cache/buildkit"
	buildctx "github.com/stokerd/stoker/context"
)

// A Builder builds and exports; a *buildkit.Builder is one.
type Builder interface {
	Export(ctx context.Context, r buildkit.Request, read func(io.Reader) error) error
}

var _ Builder = (*buildkit.Builder)(nil)

// A Change is what is proposed for one file.
type Change struct {
	Path     string // absolute
	Old, New []byte // Old is nil for a file that is not there
}

// ErrChanged is a file that is not what a change was made from.
var ErrChanged = errors.New("it changed since the suggestion was made: run suggest again")

// A Phase says which build runs.
type Phase string

// The phases.
const (
	AsIs     Phase = "as it is"
	Proposed Phase = "as proposed"
	Again    Phase = "as it is, once more"
)

// Options say how to build.
type Options struct {
	Offer buildkit.Offer
	// Tell is told how builds go on; it may be nil.
	Tell  func(Phase, buildkit.Progress)
	Watch Watch
}

// A Watch is called before each build, and what it returns after it, with what was
// built and what became of that. It may be nil.
type Watch func() func(buildkit.Request, buildkit.Solved)

// A BuildError is a build of the original that failed: nothing can be proven.
// It unwraps to the builder's error.
type BuildError struct {
	Again bool // it had succeeded before
	Err   error
}

func (e *BuildError) Error() string {
	if e.Again {
		return "the build as it is failed when it was repeated: " + e.Err.Error()
	}
	return "the build as it is fails: " + e.Err.Error()
}

func (e *BuildError) Unwrap() error { return e.Err }

// A Result is what a check found.
type Result struct {
	// Failure says why the proposed version does not build; "" if it does.
	Failure     string
	Differences []Difference
	// Uncovered is what differs between builds of the original, and so was not
	// compared.
	Uncovered []Difference
	// Edited are paths of the images that hold a file which the change is about,
	// before and after.
	Edited []string
	Files  int // how many were compared, in all images
	Images int
}

// Equal reports that the images are the same in all that was compared.
func (r Result) Equal() bool { return r.Failure == "" && len(r.Differences) == 0 }

// An Original is a definition that was built as it is.
type Original struct {
	builder Builder
	def     buildctx.Definition
	opt     Options
	images  []Image
	known   map[digest.Digest]*layer
	// varies is what builds of it differ in, by platform.
	varies map[string]*variation
}

// Open builds def as it is. The error is a *[BuildError] if that fails, and
// ctx's if that ended.
func Open(ctx context.Context, b Builder, def buildctx.Definition, opt Options) (*Original, error) {
	o := &Original{builder: b, def: def, opt: opt, known: map[digest.Digest]*layer{}, varies: map[string]*variation{}}
	images, err := o.build(ctx, AsIs, nil)
	if err != nil {
		return nil, o.failed(ctx, err, false)
	}
	o.images = images
	for _, i := range images {
		for name, l := range i.layers {
			o.known[name] = l // of the next images, most are these
		}
	}
	return o, nil
}

// Check builds the definition with the changes and compares the images. That the
// proposed version does not build is a result; errors are as those of [Open],
// and [ErrChanged].
func (o *Original) Check(ctx context.Context, changes []Change) (Result, error) {
	for _, c := range changes {
		if err := c.holds(); err != nil {
			return Result{}, fmt.Errorf("change %s: %w", c.Path, err)
		}
	}
	after, err := o.build(ctx, Proposed, changes)
	var solve *buildkit.SolveError
	switch {
	case ctx.Err() != nil:
		return Result{}, context.Cause(ctx)
	case errors.As(err, &solve) && !solve.Unavailable():
		return Result{Failure: solve.Error()}, nil
	case err != nil:
		return Result{}, err
	}
	r := o.compare(after, changes)
	if r.Equal() {
		return r, nil
	}
	// A difference is one of the change only if the original does not make it
	// too, and has been built later than the change: what goes by the clock then
	// differs as well.
	again, err := o.build(ctx, Again, nil)
	if err != nil {
		return Result{}, o.failed(ctx, err, true)
	}
	o.learn(again)
	return o.compare(after, changes), nil
}

// learn takes what differs between builds of the original.
func (o *Original) learn(again []Image) {
	for _, a := range o.images {
		if i := slices.IndexFunc(again, func(b Image) bool { return a.platform() == b.platform() }); i >= 0 {
			o.varies[a.platform()] = o.varies[a.platform()].merge(newVariation(a.Files, again[i].Files))
		}
	}
}

func (o *Original) compare(after []Image, changes []Change) Result {
	c := comparison{variations: o.varies}
	for _, change := range changes {
		c.edits = append(c.edits, edit{sha256.Sum256(change.Old), sha256.Sum256(change.New), change.Old == nil})
	}
	r := Result{Differences: c.images(o.images, after), Edited: c.edited, Images: len(o.images)}
	for _, i := range o.images {
		r.Files += len(i.Files)
		label := ""
		if len(o.images) > 1 {
			label = i.platform()
		}
		if v := o.varies[i.platform()]; v != nil {
			for _, d := range v.seen {
				d.Platform = label
				r.Uncovered = append(r.Uncovered, d)
			}
		}
	}
	return r
}

// build makes the images of the definition with the changes.
func (o *Original) build(ctx context.Context, phase Phase, changes []Change) ([]Image, error) {
	request, err := o.request(changes)
	if err != nil {
		return nil, err
	}
	if o.opt.Tell != nil {
		request.Progress = func(p buildkit.Progress) { o.opt.Tell(phase, p) }
		o.opt.Tell(phase, buildkit.Progress{})
	}
	if o.opt.Watch != nil {
		done := o.opt.Watch()
		request.Done = func(s buildkit.Solved) { done(request, s) }
	}
	var images []Image
	err = o.builder.Export(ctx, request, func(r io.Reader) (err error) {
		if images, err = read(ctx, r, o.known); err != nil && ctx.Err() == nil {
			err = fmt.Errorf("read the image: %w", err)
		}
		return err
	})
	return images, err
}

// request is a build of the definition with the changes, from nothing.
func (o *Original) request(changes []Change) (buildkit.Request, error) {
	r := buildkit.Request{Definition: o.def, NoCache: true, Offer: o.opt.Offer, Edits: map[string][]byte{}}
	for _, c := range changes {
		r.Edits[c.Path] = c.New
	}
	var err error
	if text, ok := o.edited(r.Edits, o.def.Dockerfile); ok {
		r.Dockerfile = text
	} else if r.Dockerfile, err = o.def.DockerfileText(); err != nil {
		return r, fmt.Errorf("read Dockerfile: %w", err)
	}
	if text, ok := o.edited(r.Edits, o.def.Dockerfile+".dockerignore"); ok {
		r.IgnoreFile = text
	} else if r.IgnoreFile, err = o.def.OwnIgnoreText(); err != nil {
		return r, fmt.Errorf("read ignore file: %w", err)
	}
	return r, nil
}

// edited returns the proposed text of a file; false if there is none. A definition
// and a change may name one file by other paths.
func (o *Original) edited(edits map[string][]byte, name string) ([]byte, bool) {
	if text, ok := edits[name]; ok || o.def.Inline != "" {
		return text, ok
	}
	for path, text := range edits {
		if real(path) == real(name) {
			return text, true
		}
	}
	return nil, false
}

// real resolves links, of the folder alone where the file is not there.
func real(name string) string {
	if r, err := filepath.EvalSymlinks(name); err == nil {
		return r
	}
	if dir, err := filepath.EvalSymlinks(filepath.Dir(name)); err == nil {
		return filepath.Join(dir, filepath.Base(name))
	}
	return name
}

// holds reports whether a change is made from what the disk has.
func (c Change) holds() error {
	now, err := os.ReadFile(c.Path)
	switch {
	case errors.Is(err, os.ErrNotExist) && c.Old == nil:
		return nil
	case err != nil && !errors.Is(err, os.ErrNotExist):
		return err
	case err != nil, c.Old == nil, string(now) != string(c.Old):
		return ErrChanged
	}
	return nil
}

// failed is the error of a build of the original.
func (o *Original) failed(ctx context.Context, err error, again bool) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var solve *buildkit.SolveError
	if errors.As(err, &solve) && !solve.Unavailable() {
		return &BuildError{Again: again, Err: err}
	}
	return err
}
