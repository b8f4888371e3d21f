// Package advise runs the rules of internal/suggest on a repository. It gathers what they
// look at (Dockerfiles, what steps take from the context, the history, costs) and converts
// the answers to the types of package api. The daemon and the command that works without
// one share it.
package advise

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/context/ignore"
	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/changes"
	"github.com/stokerd/stoker/internal/git"
	"github.com/stokerd/stoker/internal/project"
	"github.com/stokerd/stoker/internal/suggest"
)

// Commits is how many commits the history of suggestions has at most: some months of an
// active repository, which take a tenth of a second to read.
const Commits = 200

// An Answer is what is suggested for one build.
type Answer struct {
	Build       *project.Build
	Suggestions []suggest.Suggestion
	Unread      string // why the rules did not look at its Dockerfile; "" if they did

	rest []suggest.Suggestion // of Together: those that were not applied
}

// History is the past of a repository, as the rules see it.
type History struct {
	Commits *changes.Log // nil if there is none
	Note    string       // why there are no commits, or not all; "" if all is well
	repo    *git.Repo    // that the commits are of

	Assumed string // of Assuming: what they do not tell of files that builds take; "" for nothing
}

// A Memory keeps the history of one repository, so that only new commits are read. The
// zero value is ready to use. It is safe for concurrent use.
type Memory struct {
	mu    sync.Mutex // guards known, and is held while commits are read
	known *changes.Log
}

// Read returns the last n commits of the repository of p. If there is no git, or no
// repository, the Note of the history says so; that is not an error.
func (m *Memory) Read(ctx context.Context, p *project.Picture, n int) (History, error) {
	repo, err := git.Open(ctx, p.Root)
	if errors.Is(err, git.ErrNotRepository) || errors.Is(err, git.ErrNoGit) || errors.Is(err, git.ErrUnsafe) {
		return History{Note: "no history: " + err.Error()}, nil
	}
	if err != nil {
		return History{}, fmt.Errorf("read history: %w", err)
	}
	h := History{repo: repo}
	m.mu.Lock()
	defer m.mu.Unlock()
	h.Commits, err = changes.Extend(ctx, repo, m.known, n)
	switch {
	case errors.Is(err, git.ErrNoCommits):
		h.Note = "no commits yet"
	case err != nil:
		return History{}, fmt.Errorf("read history: %w", err)
	}
	m.known = h.Commits
	h.Commits = h.Commits.Last(n)
	if h.Commits.Shallow() {
		h.Note = "a shallow clone: the history is cut off"
	}
	return h, nil
}

// fewestSaves is how many saves it takes to tell from them how a repository is worked on.
const fewestSaves = 10

// Observed returns h or, if h has no commits and at least fewestSaves saves were observed,
// a history of the last n of these.
func (h History) Observed(saves []changes.Save, n int) History {
	switch {
	case h.Commits.Len() > 0:
		return h
	case len(saves) < fewestSaves:
		h.Note += fmt.Sprintf("; %d saves were observed so far, of the %d that it takes to count in them", len(saves), fewestSaves)
		return h
	}
	saves = saves[max(0, len(saves)-n):]
	h.Commits = changes.Saves(saves)
	h.Note = fmt.Sprintf("no commits: with savings from %s since %s", h.Commits.Counted(), saves[0].At.Local().Format("2006-01-02 15:04"))
	return h
}

// Suggest returns what the rules propose for each of builds, which are builds of p. Once ctx is
// done, it looks at no more of them.
func Suggest(ctx context.Context, p *project.Picture, builds []*project.Build, h History, costs Costs) []Answer {
	answers, r := make([]Answer, len(builds)), newRound(h, costs, nil)
	order := make([]int, len(builds))
	for i := range order {
		order[i], answers[i].Build = i, builds[i]
	}
	// Those of one Dockerfile follow one another, for what the round remembers of it.
	slices.SortStableFunc(order, func(i, j int) int {
		return cmp.Compare(builds[i].Definition.Dockerfile, builds[j].Definition.Dockerfile)
	})
	for _, i := range order {
		if ctx.Err() != nil {
			break
		}
		answers[i] = r.of(ctx, p, builds[i])
	}
	return answers
}

// input gathers what the rules look at for b. It returns false if the Dockerfile cannot be
// read, or is not a file. The rules set asked when they look at what the builds copy that
// share an ignore file with b.
func (r *round) input(ctx context.Context, p *project.Picture, b *project.Build, on basis, asked *bool) (suggest.Input, bool) {
	if !readable(b) {
		return suggest.Input{}, false
	}
	if !r.turn(p, b.Definition.Dockerfile) {
		return suggest.Input{}, false
	}
	in := suggest.Input{File: r.file, Path: r.file.Name, Commits: r.history.Commits, Silenced: p.Config.Silenced, Memory: r.memory}
	if r.costs != nil {
		in.Seconds = r.costs(b.Definition.Name)
	}
	for i, one := range on.group {
		in.Builds = append(in.Builds, r.build(ctx, p, one, on.sharers[i], asked))
	}
	in.Builds[0].Beside = on.beside
	return in, true
}

// build converts b for the rules. sharers are the builds that share its ignore file, and
// asked is as in input.
func (r *round) build(ctx context.Context, p *project.Picture, b *project.Build, sharers []*project.Build, asked *bool) suggest.Build {
	main := b.Selection.Main
	def := b.Definition
	if r.convert[b] == nil {
		plan, unaided := b.Selection.Plan, b.Selection.Unaided()
		r.convert[b] = suggest.Remembered(func(text []byte) (*dockerfile.Plan, error) {
			if unaided && bytes.Equal(text, plan.Text) {
				return plan, nil
			}
			return def.Convert(ctx, text)
		})
	}
	shown, files := r.context(b.Selection)
	out := suggest.Build{
		Name: def.Name, Target: def.Target, Args: def.Args, Context: shown, Files: files, Plan: b.Selection.Plan,
		Convert: r.convert[b],
	}
	out.Takers = func(plan *dockerfile.Plan, rules []byte) (func(string) []int, error) {
		return takers(p, b.Selection, plan, rules)
	}
	for _, s := range def.Services {
		out.Services = append(out.Services, suggest.Service(s))
	}
	if dir := p.Relative(main.Root); dir != "." {
		out.Dir = dir
	}
	for _, f := range p.FindingsOf([]*project.Build{b}) {
		if rel, ok := strings.CutPrefix(f.Path, prefix(out.Dir)); ok && f.Secret() && out.Context.Exists(rel) {
			out.Secrets = append(out.Secrets, rel)
		}
	}
	out.Ignore = r.ignoreFile(p, b, sharers, asked)
	return out
}

// ignoreFile converts the ignore file of b for the rules; sharers and asked are as in
// build.
func (r *round) ignoreFile(p *project.Picture, b *project.Build, sharers []*project.Build, asked *bool) suggest.IgnoreFile {
	main := b.Selection.Main
	var out suggest.IgnoreFile
	name := main.Ignore.Path
	if name == "" {
		name = filepath.Join(main.Root, ".dockerignore")
	} else if text, err := p.Text(name); err == nil {
		out.Text = text
	}
	out.Path, out.Shared = p.Relative(name), len(sharers) > 0
	out.Sharers = sync.OnceValue(func() []suggest.Sharer {
		*asked = true
		var list []suggest.Sharer
		for _, o := range sharers {
			s, ok := r.sharer(p, o, main.Root)
			if !ok {
				return nil
			}
			list = append(list, s)
		}
		return list
	})
	return out
}

// sharing returns the builds of other Dockerfiles that read the ignore file of b.
func sharing(p *project.Picture, b *project.Build) (list []*project.Build) {
	for _, o := range p.Builds {
		if !b.Selection.Main.Ignore.Specific && reads(o, b) {
			list = append(list, o)
		}
	}
	return list
}

// sharer converts o, which reads the ignore file of the context folder root, for the rules.
// It returns false if o cannot be read, or has root as a named context.
func (r *round) sharer(p *project.Picture, o *project.Build, root string) (suggest.Sharer, bool) {
	if o.Selection == nil || slices.ContainsFunc(o.Selection.Named, func(l buildctx.Local) bool { return l.Root == root }) {
		return suggest.Sharer{}, false
	}
	text, err := []byte(o.Definition.Inline), error(nil)
	if o.Definition.Inline == "" {
		// Not from disk: the picture may have a proposed text, whose lines the plan names.
		text, err = p.Text(o.Definition.Dockerfile)
	}
	if err != nil {
		return suggest.Sharer{}, false
	}
	file, err := dockerfile.Parse(p.Relative(o.Definition.Dockerfile), text)
	shown, _ := r.context(o.Selection)
	return suggest.Sharer{File: file, Context: shown}, err == nil
}

// reads reports whether o is a build of another Dockerfile that reads the ignore file of the
// context folder of b, for its main context or a named one. An o that could not be read does
// if it has the same context.
func reads(o, b *project.Build) bool {
	root, other := b.Selection.Main.Root, o.Definition.Dockerfile != b.Definition.Dockerfile
	if o.Selection == nil {
		return other && filepath.Clean(o.Definition.Context) == root
	}
	return other && o.Selection.Main.Root == root && !o.Selection.Main.Ignore.Specific ||
		slices.ContainsFunc(o.Selection.Named, func(l buildctx.Local) bool { return l.Root == root })
}

// prefix returns what the paths of files in a folder of the repository begin with.
func prefix(dir string) string {
	if dir == "" {
		return ""
	}
	return dir + "/"
}

// takers implements suggest.Build.Takers: the steps of plan that take a path of the
// repository, as a file of the main context or of a named one. rules, unless nil, replace
// the text of the ignore file.
func takers(p *project.Picture, s *buildctx.Selection, plan *dockerfile.Plan, rules []byte) (func(string) []int, error) {
	var ignored *ignore.File
	if rules != nil {
		var err error
		if ignored, err = ignore.Parse(s.Main.Ignore.Path, rules); err != nil {
			return nil, err
		}
	}
	of, err := s.Takers(plan, ignored)
	if err != nil {
		return nil, err
	}
	prefixes := map[string]string{}
	for _, l := range s.Locals() {
		if dir := p.Relative(l.Root); dir == "." {
			prefixes[l.Name] = ""
		} else if l.Root != "" && filepath.IsLocal(dir) {
			prefixes[l.Name] = dir + "/"
		}
	}
	return func(name string) []int {
		var steps []int
		for local, prefix := range prefixes {
			if rel, ok := suggest.Within(prefix, name); ok {
				for _, i := range of(local, rel) {
					if !slices.Contains(steps, i) {
						steps = append(steps, i)
					}
				}
			}
		}
		return steps
	}, nil
}

// A buildContext implements suggest.Context with a selection.
type buildContext struct {
	*buildctx.Selection
	files func() listing // listed once: rules go through them again and again
	steps map[int][]int  // indices in Plan.Steps, by the first line
}

// A listing lists the files of a context.
type listing struct {
	names []string
	links []string            // those of names that are symbolic links
	bases map[string][]string // names by their last element
	below map[string]total    // by directory, "." for all
}

// A total is a number of files and their size.
type total struct {
	files int
	bytes int64
}

var _ suggest.Context = buildContext{}

// A listed is a local directory of which the files are listed when they are first asked for.
type listed struct {
	local *buildctx.Local
	files func() listing
}

// context returns the context of a selection, and what is the same for those with the same files.
// These share a listing.
func (r *round) context(s *buildctx.Selection) (c buildContext, files string) {
	c = buildContext{Selection: s, steps: map[int][]int{}}
	for i, step := range s.Plan.Steps {
		c.steps[step.Lines.From] = append(c.steps[step.Lines.From], i)
	}
	i := slices.IndexFunc(r.listed, func(l listed) bool { return l.local.SameFiles(&s.Main) })
	if i < 0 {
		i = len(r.listed)
		r.listed = append(r.listed, listed{&s.Main, sync.OnceValue(func() listing { return listFiles(&s.Main) })})
	}
	c.files = r.listed[i].files
	return c, strconv.Itoa(i)
}

// listFiles lists the files of a context.
func listFiles(l *buildctx.Local) listing {
	list := listing{bases: map[string][]string{}, below: map[string]total{}}
	for f := range l.All() {
		if f.Mode.IsDir() {
			continue
		}
		base := path.Base(f.Path)
		list.names, list.bases[base] = append(list.names, f.Path), append(list.bases[base], f.Path)
		if f.Mode&os.ModeSymlink != 0 {
			list.links = append(list.links, f.Path)
		}
		for dir := path.Dir(f.Path); ; dir = path.Dir(dir) {
			sum := list.below[dir]
			list.below[dir] = total{sum.files + 1, sum.bytes + f.Bytes}
			if dir == "." {
				break
			}
		}
	}
	return list
}

func (c buildContext) Takes(line int, name string) bool {
	return slices.ContainsFunc(c.steps[line], func(i int) bool { return c.Main.WouldTake(i, name) })
}

func (c buildContext) Exists(name string) bool {
	_, ok := c.Main.Lookup(name)
	return ok
}

func (c buildContext) IsFile(name string) bool {
	f, ok := c.Main.Lookup(name)
	return ok && !f.Mode.IsDir()
}

func (c buildContext) FilesNamed(base string) []string { return c.files().bases[base] }

func (c buildContext) Links() []string { return c.files().links }

func (c buildContext) Size(name string) int64 {
	_, bytes := c.Below(name)
	return bytes
}

func (c buildContext) Below(name string) (files int, bytes int64) {
	if f, ok := c.Main.Lookup(name); ok && !f.Mode.IsDir() {
		return 1, f.Bytes
	}
	sum := c.files().below[name]
	return sum.files, sum.bytes
}

func (c buildContext) Files() iter.Seq[string] { return slices.Values(c.files().names) }

func (c buildContext) Read(name string) ([]byte, error) {
	return os.ReadFile(filepath.Join(c.Main.Root, filepath.FromSlash(name)))
}

// Wire converts answers to the output of `stoker suggest`, with the texts of changes if req
// asks for them.
func Wire(p *project.Picture, req api.SuggestRequest, answers []Answer, h History) api.Suggest {
	out := api.Suggest{Schema: api.SuggestSchema, Note: h.note(), Definitions: []api.SuggestDefinition{}}
	for _, a := range answers {
		d := api.SuggestDefinition{Name: a.Build.Definition.Name, Suggestions: []api.Suggestion{}}
		if a.Build.Problem != nil {
			d.Problem, d.Hint = a.Build.Problem.Text, a.Build.Problem.Hint
		}
		for _, s := range a.Suggestions {
			one := wire(p, a.Build, s)
			one.SavesSecondsPerWeek = s.SavesSeconds * h.Commits.PerWeek()
			for _, c := range s.Changes {
				if req.Changes {
					one.Changes = append(one.Changes, api.FileChange{Path: c.Path, Old: c.Old, New: c.New})
				}
			}
			d.Suggestions = append(d.Suggestions, one)
		}
		if len(d.Suggestions) == 0 && d.Problem == "" {
			d.Content = cmp.Or(a.Unread, content(h))
		}
		out.Definitions = append(out.Definitions, d)
	}
	return out
}

// WireTogether converts the answers of [Together] as Wire does. made is what all changes
// together make of each file.
func WireTogether(p *project.Picture, req api.SuggestRequest, answers []Answer, made []suggest.Change, h History) api.Suggest {
	out := Wire(p, req, answers, h)
	for _, c := range made {
		out.Changes = append(out.Changes, api.FileChange{Path: c.Path, Old: c.Old, New: c.New})
	}
	return out
}

// wire converts one suggestion for a build, without its changes.
func wire(p *project.Picture, b *project.Build, s suggest.Suggestion) api.Suggestion {
	out := api.Suggestion{
		Rule: s.Rule, Title: s.Title, File: cmp.Or(s.File, p.Relative(b.Definition.Dockerfile)), URL: s.URL, Lines: [2]int{s.Lines.From, s.Lines.To},
		Evidence: s.Evidence, Obstacle: s.Obstacle, SavesSeconds: s.SavesSeconds, SavesBytes: s.SavesBytes, BytesOf: s.BytesOf, Costs: s.Costs, Proof: string(s.Proof), Provable: s.Provable, Diff: s.Diff(),
	}
	out.HitRate.Before, out.HitRate.After = s.HitRate.Before, s.HitRate.After
	return out
}

// content says why there is nothing to suggest, for a user who is content.
func content(h History) string {
	text := fmt.Sprintf("none of the %d rules found anything to change", len(suggest.Rules()))
	switch {
	case h.Note != "":
		return text + " (" + h.Note + ")"
	case h.Commits.Len() > 0:
		return fmt.Sprintf("%s; over the last %s no permitted order of the steps costs less", text, h.Commits.Counted())
	}
	return text
}
