package buildctx

import (
	"context"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tonistiigi/fsutil"

	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/context/ignore"
)

// A taker decides which files of a context one source of a COPY, ADD or bind mount
// takes.
type taker struct {
	all     bool            // everything; plain and globs are empty
	plain   []string        // paths without wildcards, links followed
	globs   [][]string      // paths with wildcards, by component
	include *ignore.Matcher // --parents; nil for none
	exclude *ignore.Matcher // --exclude; nil for none
}

// takers hold a taker for every source that the steps of a plan take from one context,
// in the order of the steps. They are immutable.
type takers struct{ list []*stepTaker }

// A stepTaker is the taker of one source of a step.
type stepTaker struct {
	step    int // index into the plan's steps
	take    dockerfile.Take
	sources []string // take.Path with links followed; nil is everything
	*taker
}

// newTakers returns the takers of what plan takes from the context named local, whose
// files are used to follow links. old may be nil, or the takers of the same plan and
// context over earlier files; it is returned if links still lead to the same sources.
func newTakers(plan *dockerfile.Plan, local string, files fsutil.FS, old *takers) (*takers, error) {
	k := &takers{}
	for i, step := range plan.Steps {
		for _, t := range step.Takes {
			if t.Local != local {
				continue
			}
			// COPY follows a link that it names, so it takes the link's target as well.
			sources, err := fsutil.FollowLinks(files, []string{t.Path})
			if err != nil {
				return nil, err
			}
			k.list = append(k.list, &stepTaker{step: i, take: t, sources: sources})
		}
	}
	sameSources := func(a, b *stepTaker) bool { return slices.Equal(a.sources, b.sources) }
	if old != nil && slices.EqualFunc(k.list, old.list, sameSources) {
		return old, nil
	}
	for _, t := range k.list {
		var err error
		if t.taker, err = newTaker(t.take, t.sources); err != nil {
			return nil, err
		}
	}
	return k, nil
}

// present hides the files that the ignore file leaves out, which the builder does not
// have. A step cannot follow an ignored link, although the request for its files does.
type present struct {
	fsutil.FS
	matcher *ignore.Matcher
}

// Walk does not hide ignored directories: a later pattern may re-include what is in them.
func (p present) Walk(ctx context.Context, target string, fn fs.WalkDirFunc) error {
	return p.FS.Walk(ctx, target, func(name string, d fs.DirEntry, err error) error {
		if d != nil && !d.IsDir() && p.matcher.Ignored(filepath.ToSlash(name)) {
			return nil
		}
		return fn(name, d, err)
	})
}

// steps returns the steps that take the file at name, which must be one that is sent.
func (k *takers) steps(name string) []int {
	var steps []int
	for _, t := range k.list {
		if n := len(steps); (n == 0 || steps[n-1] != t.step) && t.takes(name) {
			steps = append(steps, t.step)
		}
	}
	return steps
}

// stepTakes reports whether the step at an index of the plan takes the file at name.
func (k *takers) stepTakes(step int, name string) bool {
	return slices.ContainsFunc(k.list, func(t *stepTaker) bool { return t.step == step && t.takes(name) })
}

// Takers returns a function that lists the steps of plan that would take the file at
// name in the local context named local. plan comes from another text of the
// definition's Dockerfile, and rules, unless nil, replace the build context's ignore
// file. As with [Local.WouldTake], the file need not exist, and the name may be a folder's.
func (s *Selection) Takers(plan *dockerfile.Plan, rules *ignore.File) (func(local, name string) []int, error) {
	locals := map[string]Local{}
	for _, l := range s.Locals() {
		if l.top == nil {
			continue
		}
		var err error
		if l.Name == dockerfile.MainContext && rules != nil {
			if l.matcher, err = ignore.NewMatcher(rules); err != nil {
				return nil, err
			}
		}
		if l.takers, err = newTakers(plan, l.Name, present{&treeFS{top: l.top.dir, root: l.Root}, l.matcher}, nil); err != nil {
			return nil, err
		}
		locals[l.Name] = l
	}
	return func(local, name string) []int {
		l, ok := locals[local]
		if !ok || l.leavesOut(name) {
			return nil
		}
		return l.takers.steps(name)
	}, nil
}

// newTaker returns the taker for t. sources are t's path with links followed; nil means
// everything.
func newTaker(t dockerfile.Take, sources []string) (*taker, error) {
	k := &taker{all: sources == nil}
	for _, s := range sources {
		if t.Wildcard && strings.ContainsAny(s, `*?[\`) {
			k.globs = append(k.globs, strings.Split(s, "/"))
		} else {
			k.plain = append(k.plain, s)
		}
	}
	var err error
	if k.include, err = patterns(t.Include); err != nil {
		return nil, err
	}
	k.exclude, err = patterns(t.Exclude)
	return k, err
}

// patterns compiles patterns in the syntax of ignore files, such as those of --parents
// and --exclude (BuildKit: solver/llbsolver/file). For an empty list it returns nil.
func patterns(list []string) (*ignore.Matcher, error) {
	if len(list) == 0 {
		return nil, nil
	}
	f := &ignore.File{}
	for i, p := range list {
		f.Lines = append(f.Lines, ignore.Line{Number: i + 1, Pattern: p})
	}
	return ignore.NewMatcher(f)
}

// takes reports whether the file at name is taken or, if name ends in a slash, whether
// something in that folder may be.
func (k *taker) takes(name string) bool {
	if dir, ok := strings.CutSuffix(name, "/"); ok {
		return k.takesIn(dir)
	}
	if k.all {
		return k.passes(name)
	}
	for _, source := range k.plain {
		if rest, ok := strings.CutPrefix(name, source); ok && (rest == "" || rest[0] == '/') && k.passes(strings.TrimPrefix(rest, "/")) {
			return true
		}
	}
	if len(k.globs) == 0 {
		return false
	}
	parts := strings.Split(name, "/")
	for _, glob := range k.globs {
		if matchesBeginning(glob, parts) && k.passes(strings.Join(parts[len(glob):], "/")) {
			return true
		}
	}
	return false
}

// takesIn reports whether something in the folder dir may be taken, "" being all of the context.
func (k *taker) takesIn(dir string) bool {
	if dir == "" {
		return true
	}
	if k.all {
		return k.exclude == nil || !k.exclude.IgnoredBelow(dir)
	}
	parts := strings.Split(dir, "/")
	within := func(source []string) bool {
		n := min(len(source), len(parts))
		return matchesBeginning(source[:n], parts[:n]) && (n == len(parts) || k.exclude == nil || !k.exclude.IgnoredBelow(strings.Join(parts[n:], "/")))
	}
	return slices.ContainsFunc(k.plain, func(source string) bool {
		// A path without wildcards, whatever is in it.
		source, name := source+"/", dir+"/"
		return strings.HasPrefix(source, name) || strings.HasPrefix(name, source) &&
			(k.exclude == nil || !k.exclude.IgnoredBelow(strings.TrimSuffix(name[len(source):], "/")))
	}) || slices.ContainsFunc(k.globs, within)
}

// passes applies the patterns of --parents and --exclude to rel, a path relative to what
// a source matched. They do not apply to that itself, for which rel is "" (fsutil:
// copy.Copy).
func (k *taker) passes(rel string) bool {
	if rel == "" {
		return true
	}
	if k.include != nil && !k.include.Ignored(rel) {
		return false
	}
	return k.exclude == nil || !k.exclude.Ignored(rel)
}

// matchesBeginning reports whether a pattern matches the beginning of a path, both
// given as their components.
func matchesBeginning(glob, parts []string) bool {
	if len(parts) < len(glob) {
		return false
	}
	for i, pattern := range glob {
		if ok, err := path.Match(pattern, parts[i]); pattern != parts[i] && (err != nil || !ok) {
			return false
		}
	}
	return true
}

// A Reach says how far a file gets in a build.
type Reach string

// The values of Reach, the shortest first.
const (
	InContext    Reach = "context"      // in the effective context, but not sent to the builder
	IsSent       Reach = "sent"         // sent to the builder, but taken by no step
	Intermediate Reach = "intermediate" // taken by a stage that is not in the image, or mounted while a step runs
	InFinal      Reach = "final"        // in the image
)

// Reach returns how far the file f of l gets, and the index of the step that takes it
// that far, or -1 if no step takes it.
func (s *Selection) Reach(l Local, f File) (Reach, int) {
	if !f.Sent {
		return InContext, -1
	}
	if len(f.Steps) == 0 {
		return IsSent, -1
	}
	for _, i := range f.Steps {
		for _, dest := range s.placesOf(i, l, f.Path) {
			if s.Plan.Ships(i, dest) {
				return InFinal, i
			}
		}
	}
	return Intermediate, f.Steps[0]
}

// placesOf returns the paths in its stage at which step may leave the file at name. A
// mount leaves nothing.
func (s *Selection) placesOf(step int, l Local, name string) []string {
	var places, linked []string
	for _, t := range s.Plan.Steps[step].Takes {
		if t.Local != l.Name || t.Mount {
			continue
		}
		places = append(places, landings(t, name)...)
		// If a link led to the file, an unknown part of its path precedes what is copied.
		for rest := name; rest != ""; _, rest, _ = strings.Cut(rest, "/") {
			linked = append(linked, path.Join("/", t.Dest, rest))
		}
	}
	if len(places) == 0 {
		return linked
	}
	return places
}

// landings returns the paths in the stage at which t may put the file at name.
func landings(t dockerfile.Take, name string) []string {
	if t.Path == "." {
		return []string{path.Join("/", t.Dest, name)}
	}
	source := strings.Split(t.Path, "/")
	parts := strings.Split(name, "/")
	if !matchesBeginning(source, parts) {
		return nil
	}
	return dockerfile.Landings(t.Dest, name, strings.Join(parts[len(source):], "/"))
}

// WouldTake reports whether the step at an index of the plan would take the file at
// name, going by the step and the ignore file alone: the file need not exist. If name ends
// in a slash, it reports whether the step may take something of what is in that folder, of
// which the files are not known; "/" is the whole context.
func (l Local) WouldTake(step int, name string) bool {
	return l.takers != nil && l.takers.stepTakes(step, name) && !l.leavesOut(name)
}
