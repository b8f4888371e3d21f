// Package verify proves that two Dockerfiles make the same image, by building
// both and comparing what a container would find.
//
// [Open] builds a definition as it is. [Original.Check] builds it with a change
// and compares the images. Every build runs all steps without cache. An image is
// read while the builder sends it: the layers are applied as a container runtime
// applies them, and of each file only a digest is kept. So nothing is written to
// disk, and memory does not grow with the size of files.
//
// What is compared of each file of the final image is its type, mode, owner, link
// target, hard links, extended attributes, device numbers and content. Times, and
// the layer that a file is in, are not. Of the image itself, the config object,
// os, architecture and variant are compared. If there is a difference, the
// original is built once more, after the change. Where two builds of the original
// differ, the difference says nothing about the change, so the comparison leaves
// it out and reports it as [Result.Uncovered].
//
// Returned values are immutable, except for an [Original], which must not be used
// by several goroutines at once.
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

// A Builder builds images, as *buildkit.Builder does.
type Builder interface {
	// Export builds r and passes the image, as an OCI archive, to read. It returns
	// a *buildkit.SolveError if the build fails, and read's error if that does.
	Export(ctx context.Context, r buildkit.Request, read func(io.Reader) error) error
}

var _ Builder = (*buildkit.Builder)(nil)

// A Change is a new text that is proposed for one file.
type Change struct {
	Path     string // absolute
	Old, New []byte // whole texts; Old is nil for a file that does not exist yet
}

// ErrChanged means that a file no longer has the text that a change was made for.
var ErrChanged = errors.New("it changed since the suggestion was made: run suggest again")

// A Phase is one of the builds that a verification makes.
type Phase string

// The phases, in this order. There is no Again if the images of the first two are
// equal.
const (
	AsIs     Phase = "as it is"
	Proposed Phase = "as proposed"
	Again    Phase = "as it is, once more"
)

// Options say how to build.
type Options struct {
	Offer buildkit.Offer // secrets and SSH agents for the steps that mount them
	// Tell, if not nil, is called when a build begins, with a zero Progress, and
	// whenever the builder reports progress.
	Tell  func(Phase, buildkit.Progress)
	Watch Watch
}

// A Watch, if not nil, is called before each build. The function that it returns
// is called after the build, with what was built and what the builder did.
type Watch func() func(buildkit.Request, buildkit.Solved)

// A BuildError means that the original does not build, so that nothing can be
// proven. It unwraps to the builder's error.
type BuildError struct {
	Again bool // an earlier build of it succeeded
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
	Differences []Difference // of the proposed images from the original ones
	// Uncovered are the differences between builds of the original. What they are
	// about was not compared.
	Uncovered []Difference
	// Edited are the paths of files in the images that are copies of a file that
	// the change edits. Their content is expected to differ.
	Edited []string
	Files  int // number of files compared, over all images
	Images int // number of images that the original makes
}

// Equal reports whether the proposed version builds, and its images are equal in
// everything that was compared.
func (r Result) Equal() bool { return r.Failure == "" && len(r.Differences) == 0 }

// An Original is a definition that was built as it is.
type Original struct {
	builder Builder
	def     buildctx.Definition
	opt     Options
	images  []Image
	known   map[digest.Digest]*layer // the layers of images
	// varies says what differs between builds of the original, by platform.
	varies map[string]*variation
}

// Open builds def as it is. It returns a *[BuildError] if that fails, and the
// cause of ctx's end if ctx ended. Other errors are the builder's.
func Open(ctx context.Context, b Builder, def buildctx.Definition, opt Options) (*Original, error) {
	o := &Original{builder: b, def: def, opt: opt, known: map[digest.Digest]*layer{}, varies: map[string]*variation{}}
	images, err := o.build(ctx, AsIs, nil)
	if err != nil {
		return nil, originalError(ctx, err, false)
	}
	o.images = images
	for _, i := range images {
		for name, l := range i.layers {
			o.known[name] = l // the next builds make most of these again
		}
	}
	return o, nil
}

// Check builds the definition with the changes and compares the images. If the
// proposed version does not build, that is a result and not an error. Errors are
// those of [Open], and [ErrChanged] if a file on disk is not the Old of its change.
func (o *Original) Check(ctx context.Context, changes []Change) (Result, error) {
	for _, c := range changes {
		if err := c.checkOld(); err != nil {
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
	// A difference counts only if two builds of the original do not have it as well.
	// The second of these is made after the build of the change, so that whatever
	// depends on the time differs between them, too.
	again, err := o.build(ctx, Again, nil)
	if err != nil {
		return Result{}, originalError(ctx, err, true)
	}
	o.learn(again)
	return o.compare(after, changes), nil
}

// learn adds to varies what differs between the first build of the original and
// another one.
func (o *Original) learn(again []Image) {
	for _, a := range o.images {
		if i := slices.IndexFunc(again, func(b Image) bool { return a.platform() == b.platform() }); i >= 0 {
			o.varies[a.platform()] = o.varies[a.platform()].merge(newVariation(a.Files, again[i].Files))
		}
	}
}

// compare compares the images of the original with those after the changes, except
// for what is known to vary.
func (o *Original) compare(after []Image, changes []Change) Result {
	c := comparison{variations: o.varies}
	for _, change := range changes {
		c.edits = append(c.edits, edit{
			before: sha256.Sum256(change.Old), after: sha256.Sum256(change.New), added: change.Old == nil,
		})
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

// build builds the definition with the changes, and reads its images.
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

// request returns a request to build the definition with the changes, without cache.
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

// edited returns the proposed text of the file name, and false if no change is about
// it. It resolves symbolic links, since a definition and a change may have different
// paths for one file.
func (o *Original) edited(edits map[string][]byte, name string) ([]byte, bool) {
	if text, ok := edits[name]; ok || o.def.Inline != "" {
		return text, ok
	}
	for path, text := range edits {
		if realPath(path) == realPath(name) {
			return text, true
		}
	}
	return nil, false
}

// realPath resolves symbolic links in name. If there is no such file, it resolves
// those in the path of its folder.
func realPath(name string) string {
	if r, err := filepath.EvalSymlinks(name); err == nil {
		return r
	}
	if dir, err := filepath.EvalSymlinks(filepath.Dir(name)); err == nil {
		return filepath.Join(dir, filepath.Base(name))
	}
	return name
}

// checkOld returns [ErrChanged] unless the file on disk has the text Old.
func (c Change) checkOld() error {
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

// originalError returns the error to report for err, with which a build of the original
// ended. again says that an earlier one succeeded.
func originalError(ctx context.Context, err error, again bool) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var solve *buildkit.SolveError
	if errors.As(err, &solve) && !solve.Unavailable() {
		return &BuildError{Again: again, Err: err}
	}
	return err
}
