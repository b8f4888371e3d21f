// Package advise asks internal/suggest about a repository: it gathers what the
// rules look at (Dockerfiles, what their steps take, the history, costs) and
// puts the answers into the wire's words. The daemon and the one-shot command
// share it.
package advise

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
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

// Commits is how many commits suggestions look at: some months of an active
// repository, read in a tenth of a second.
const Commits = 200

// An Answer is what is suggested for one build.
type Answer struct {
	Build       *project.Build
	Suggestions []suggest.Suggestion
	Unread      string // why the rules did not look at it; "" where they did

	rest []suggest.Suggestion // of Together: what is left
}

// History is what the rules know of a repository's past.
type History struct {
	Commits *changes.Log // nil where there is no git
	Note    string       // why there are none, or fewer than there could be
}

// A Memory keeps the history of one repository between questions, so that only
// new commits are read. Its zero value is ready; it is safe for concurrent use.
type Memory struct {
	mu    sync.Mutex // guards known, and keeps two from reading the same
	known *changes.Log
}

// Read returns the last n commits of p's repository. A folder without git has
// none.
func (m *Memory) Read(ctx context.Context, p *project.Picture, n int) (History, error) {
	repo, err := git.Open(ctx, p.Root)
	if errors.Is(err, git.ErrNotRepository) || errors.Is(err, git.ErrNoGit) || errors.Is(err, git.ErrUnsafe) {
		return History{Note: "no history: " + err.Error()}, nil
	}
	if err != nil {
		return History{}, fmt.Errorf("read history: %w", err)
	}
	var h History
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
	if p.Head.Shallow {
		h.Note = "a shallow clone: the history is cut off"
	}
	return h, nil
}

// fewestSaves is how many saves have to be seen before they are taken for how the
// repository is worked on.
const fewestSaves = 10

// Observed returns h with the last n of the saves that were seen, where it has no
// commits and they are enough to count in.
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

// Suggest returns what the rules propose for each of builds.
func Suggest(ctx context.Context, p *project.Picture, builds []*project.Build, h History, costs Costs) []Answer {
	answers, r := make([]Answer, 0, len(builds)), newRound(h, costs, nil)
	for _, b := range builds {
		answers = append(answers, r.of(ctx, p, b))
	}
	return answers
}

// input gathers what the rules look at for b, and notes in asked if they look at what
// those copy that share an ignore file; false if b's Dockerfile is no file that could
// be changed, or cannot be read.
func (r *round) input(ctx context.Context, p *project.Picture, b *project.Build, on basis, asked *bool) (suggest.Input, bool) {
	if !readable(b) {
		return suggest.Input{}, false
	}
	text, err := p.Text(b.Definition.Dockerfile)
	if err != nil {
		return suggest.Input{}, false
	}
	name := p.Relative(b.Definition.Dockerfile)
	file, err := dockerfile.Parse(name, text)
	if err != nil {
		return suggest.Input{}, false
	}
	in := suggest.Input{File: file, Path: name, Commits: r.history.Commits, Silenced: p.Config.Silenced}
	if r.costs != nil {
		in.Seconds = r.costs(b.Definition.Name)
	}
	for i, one := range on.group {
		in.Builds = append(in.Builds, build(ctx, p, one, on.sharers[i], asked))
	}
	in.Builds[0].Beside = on.beside
	return in, true
}

func build(ctx context.Context, p *project.Picture, b *project.Build, sharers []*project.Build, asked *bool) suggest.Build {
	main := b.Selection.Main
	def := b.Definition
	out := suggest.Build{
		Name: def.Name, Target: def.Target, Args: def.Args, Context: buildContext{b.Selection}, Plan: b.Selection.Plan,
		Convert: func(text []byte) (*dockerfile.Plan, error) { return def.Convert(ctx, text) },
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
	ignoreFile := main.Ignore.Path
	if ignoreFile == "" {
		ignoreFile = filepath.Join(main.Root, ".dockerignore")
	} else if text, err := p.Text(ignoreFile); err == nil {
		out.Ignore.Text = text
	}
	out.Ignore.Path, out.Ignore.Shared = p.Relative(ignoreFile), len(sharers) > 0
	out.Ignore.Sharers = sync.OnceValue(func() []suggest.Sharer {
		*asked = true
		var list []suggest.Sharer
		for _, o := range sharers {
			s, ok := sharer(p, o, main.Root)
			if !ok {
				return nil
			}
			list = append(list, s)
		}
		return list
	})
	return out
}

// sharing returns the builds of other Dockerfiles that read b's ignore file.
func sharing(p *project.Picture, b *project.Build) (list []*project.Build) {
	for _, o := range p.Builds {
		if !b.Selection.Main.Ignore.Specific && reads(o, b) {
			list = append(list, o)
		}
	}
	return list
}

// sharer returns a build that reads the ignore file of a context folder, if it does so
// for its main context only.
func sharer(p *project.Picture, o *project.Build, root string) (suggest.Sharer, bool) {
	if o.Selection == nil || slices.ContainsFunc(o.Selection.Named, func(l buildctx.Local) bool { return l.Root == root }) {
		return suggest.Sharer{}, false
	}
	text, err := []byte(o.Definition.Inline), error(nil)
	if o.Definition.Inline == "" {
		// Not the file on the disk: its lines are not those of a plan of a proposed text.
		text, err = p.Text(o.Definition.Dockerfile)
	}
	if err != nil {
		return suggest.Sharer{}, false
	}
	file, err := dockerfile.Parse(p.Relative(o.Definition.Dockerfile), text)
	return suggest.Sharer{File: file, Context: buildContext{o.Selection}}, err == nil
}

// reads reports whether o is a build of another Dockerfile that reads the ignore file of
// b's context folder, as that of its main context or of a named one; one of which
// nothing is known may.
func reads(o, b *project.Build) bool {
	root, other := b.Selection.Main.Root, o.Definition.Dockerfile != b.Definition.Dockerfile
	if o.Selection == nil {
		return other && filepath.Clean(o.Definition.Context) == root
	}
	return other && o.Selection.Main.Root == root && !o.Selection.Main.Ignore.Specific ||
		slices.ContainsFunc(o.Selection.Named, func(l buildctx.Local) bool { return l.Root == root })
}

// prefix begins the paths of a folder of the repository.
func prefix(dir string) string {
	if dir == "" {
		return ""
	}
	return dir + "/"
}

// takers returns which steps of a plan take a path of the repository, as a file
// of the build context or of a named one.
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
			if rel, ok := strings.CutPrefix(name, prefix); ok {
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

// A buildContext answers the rules' questions from a selection.
type buildContext struct{ *buildctx.Selection }

var _ suggest.Context = buildContext{}

func (c buildContext) Takes(line int, name string) bool {
	for i, step := range c.Plan.Steps {
		if step.Lines.From == line && c.Main.WouldTake(i, name) {
			return true
		}
	}
	return false
}

func (c buildContext) Exists(name string) bool {
	_, ok := c.Main.Lookup(name)
	return ok
}

func (c buildContext) IsFile(name string) bool {
	f, ok := c.Main.Lookup(name)
	return ok && !f.Mode.IsDir()
}

func (c buildContext) Size(name string) (total int64) {
	if f, ok := c.Main.Lookup(name); ok && !f.Mode.IsDir() {
		return f.Bytes
	}
	for f := range c.Main.All() {
		if name == "." || strings.HasPrefix(f.Path, name+"/") {
			total += f.Bytes
		}
	}
	return total
}

func (c buildContext) Files() iter.Seq[string] {
	return func(yield func(string) bool) {
		for f := range c.Main.All() {
			if !f.Mode.IsDir() && !yield(f.Path) {
				return
			}
		}
	}
}

func (c buildContext) Read(name string) ([]byte, error) {
	return os.ReadFile(filepath.Join(c.Main.Root, filepath.FromSlash(name)))
}

// Wire puts answers into the form of `stoker suggest`, with the texts of changes
// where req asks for them.
func Wire(p *project.Picture, req api.SuggestRequest, answers []Answer, h History) api.Suggest {
	out := api.Suggest{Schema: api.SuggestSchema, Note: h.Note, Definitions: []api.SuggestDefinition{}}
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

// WireTogether is Wire for the answers of [Together].
func WireTogether(p *project.Picture, req api.SuggestRequest, answers []Answer, made []suggest.Change, h History) api.Suggest {
	out := Wire(p, req, answers, h)
	for _, c := range made {
		out.Changes = append(out.Changes, api.FileChange{Path: c.Path, Old: c.Old, New: c.New})
	}
	return out
}

func wire(p *project.Picture, b *project.Build, s suggest.Suggestion) api.Suggestion {
	out := api.Suggestion{
		Rule: s.Rule, Title: s.Title, File: cmp.Or(s.File, p.Relative(b.Definition.Dockerfile)), URL: s.URL, Lines: [2]int{s.Lines.From, s.Lines.To},
		Evidence: s.Evidence, Obstacle: s.Obstacle, SavesSeconds: s.SavesSeconds, SavesBytes: s.SavesBytes, BytesOf: s.BytesOf, Costs: s.Costs, Proof: string(s.Proof), Diff: s.Diff(),
	}
	out.HitRate.Before, out.HitRate.After = s.HitRate.Before, s.HitRate.After
	return out
}

// content says why there is nothing to suggest.
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
