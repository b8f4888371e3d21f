package prewarm

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/stokerd/stoker/cache/buildkit"
	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/context/dockerfile"
)

// A Builder pulls images and solves; a *buildkit.Builder is one.
type Builder interface {
	PullBase(ctx context.Context, ref, platform string) error
	Warm(ctx context.Context, r buildkit.Request) error
}

var _ Builder = (*buildkit.Builder)(nil)

// A Work is a definition to be warmed to a level.
type Work struct {
	Definition buildctx.Definition
	Plan       *dockerfile.Plan
	Level      Level
	// Pulls says which base images may be pulled by name; nil means all. One
	// that may not be is left to the steps, where these may run.
	Pulls func(dockerfile.Base) bool
	// CacheFrom are caches elsewhere that it looks into, CacheTo those that it writes:
	// see CheckCaches.
	CacheFrom, CacheTo []buildkit.Cache
	// Done is told of each solve, and of what; it may be nil. One that was interrupted
	// or failed is told of as well.
	Done func(buildkit.Request, buildkit.Solved)
}

// Describe says what the work runs: "pull the base images", or "run the steps up
// to [build 4/7] RUN npm ci".
func (w Work) Describe() string {
	if text, err := w.Definition.DockerfileText(); err == nil {
		var steps []string
		for _, t := range Targets(w.Plan, text, w.Level) {
			steps = append(steps, brief(t.last()))
		}
		if len(steps) > 0 {
			return "run the steps up to " + strings.Join(steps, " and ")
		}
	}
	return "pull the base images"
}

// brief is the name of a step in one line among others: a RUN may be a whole script.
func brief(step string) string {
	const most = 70
	runes := []rune(strings.Join(strings.Fields(step), " "))
	if len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return string(runes)
}

// last is the step up to which t runs.
func (t Target) last() string { return t.Steps[len(t.Steps)-1] }

// CheckCaches says why the caches elsewhere are of no use to works, which are done one
// after the other; nil if they are. Each solve takes the place of what the one before
// it wrote to a cache.
func CheckCaches(works []Work) error {
	for _, w := range works {
		if len(w.CacheFrom)+len(w.CacheTo) > 0 && w.Level.Rank() <= Base.Rank() {
			return fmt.Errorf("level %s runs no step that a cache elsewhere could have", w.Level)
		}
		if len(w.CacheTo) == 0 {
			continue
		}
		if len(works) > 1 {
			return fmt.Errorf("a cache keeps one build, and %d are warmed", len(works))
		}
		text, err := w.Definition.DockerfileText()
		if err != nil {
			return fmt.Errorf("read Dockerfile: %w", err)
		}
		if n := len(Targets(w.Plan, text, w.Level)); n != 1 {
			return fmt.Errorf("a cache keeps one build, and level %s makes %d of %s", w.Level, n, w.Definition.Name)
		}
	}
	return nil
}

// Do has the builder do the work, telling each step that it goes up to before
// it does. It returns how many of the caches elsewhere could not be read. Errors hold
// no value of an arg: an image's name may, so it is told by the line of its FROM.
func (w Work) Do(ctx context.Context, b Builder, tell func(step string)) (unread int, err error) {
	for _, base := range w.Plan.Bases {
		if w.Pulls != nil && !w.Pulls(base) {
			continue
		}
		if err := b.PullBase(ctx, base.Ref, base.Platform); err != nil {
			return 0, w.pullError(base.Line, err)
		}
	}
	if w.Level.Rank() <= Base.Rank() {
		return 0, nil
	}
	text, err := w.Definition.DockerfileText()
	if err != nil {
		return 0, fmt.Errorf("read Dockerfile: %w", err)
	}
	ignoreFile, err := w.Definition.OwnIgnoreText()
	if err != nil {
		return 0, fmt.Errorf("read ignore file: %w", err)
	}
	for _, t := range Targets(w.Plan, text, w.Level) {
		def := w.Definition
		if !t.Whole {
			def.Target = "" // the text ends where it is wanted
		}
		tell(t.last())
		request := buildkit.Request{Definition: def, Dockerfile: t.Text, IgnoreFile: ignoreFile, CacheFrom: w.CacheFrom, CacheTo: w.CacheTo}
		request.Done = func(s buildkit.Solved) {
			unread = max(unread, s.Unread())
			if w.Done != nil {
				w.Done(request, s)
			}
		}
		if err := b.Warm(ctx, request); err != nil {
			return unread, err
		}
	}
	return unread, nil
}

// pullError says that the image of a FROM could not be pulled. The builder's own
// words would repeat its name.
func (w Work) pullError(line int, err error) error {
	what := "the image of a stage"
	switch {
	case line > 0 && w.Definition.Dockerfile != "" && w.Definition.Inline == "":
		what = fmt.Sprintf("the image of %s:%d", filepath.Base(w.Definition.Dockerfile), line)
	case line > 0:
		what = fmt.Sprintf("the image of line %d", line)
	}
	var failure *buildkit.SolveError
	if errors.As(err, &failure) {
		_, kind, ok := strings.Cut(failure.Error(), ", ") // what failed is told before it
		if !ok {
			kind = failure.Error()
		}
		return &pullFailure{what + " cannot be pulled: " + kind, failure}
	}
	return fmt.Errorf("%s cannot be pulled", what)
}

// A pullFailure is what kept an image from being pulled, by the place of its FROM.
type pullFailure struct {
	text string
	err  error
}

func (e *pullFailure) Error() string { return e.text }
func (e *pullFailure) Unwrap() error { return e.err }
