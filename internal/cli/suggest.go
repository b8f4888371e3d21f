package cli

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stokerd/stoker/internal/advise"
	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/config"
	"github.com/stokerd/stoker/internal/git"
	"github.com/stokerd/stoker/internal/ipc"
	"github.com/stokerd/stoker/internal/project"
	"github.com/stokerd/stoker/internal/report"
	"github.com/stokerd/stoker/internal/suggest"
)

type suggestOptions struct {
	*options
	adHoc
	offer
	json, diff, apply, undo, force bool
	all, verify, noVerify          bool
	rules                          []string
	proved                         bool // what --apply is to make was built: see proven
}

func newSuggest(o *options) *cobra.Command {
	s := &suggestOptions{options: o}
	cmd := &cobra.Command{
		Use:   "suggest [NAME]",
		Short: "Propose changes to Dockerfiles, with the seconds that each saves",
		Long: `Propose changes to the Dockerfiles, the one that saves most first, with evidence
from the repository's own history.

--verify builds each Dockerfile without cache, as it is and as proposed, for every
definition that uses it, and compares the images file by file. First it is said
what runs where. Typed by you, this is leave for this one run. A suggestion with
which an image would be another one is withdrawn.

--apply edits in place and leaves comments and formatting alone: it makes the best
change of each Dockerfile, with --all every one, each upon those before it. It
verifies first, all of them at once, if a builder is there and the repository is
allowed. It refuses a Dockerfile with uncommitted changes, unless --force is given.
Advice, which would make another image on purpose or is for you to decide, is
shown and not applied. Where a build can tell that the image stays the same, --verify
has it built as well, and --apply makes it once that is proven.`,
		RunE: func(cmd *cobra.Command, args []string) error { return s.run(cmd.Context(), args) },
	}
	s.adHoc.register(cmd)
	s.offer.register(cmd)
	f := cmd.Flags()
	f.StringArrayVar(&s.rules, "rule", nil, "only this `rule`; can be given several times")
	f.BoolVar(&s.json, "json", false, "print JSON")
	f.BoolVar(&s.diff, "diff", false, "print the changes as a unified diff")
	f.BoolVar(&s.apply, "apply", false, "make the best change of each Dockerfile")
	f.BoolVar(&s.all, "all", false, "with --apply or --diff: every change, each made upon those before it")
	f.BoolVar(&s.undo, "undo", false, "take back what --apply did last in this repository")
	f.BoolVar(&s.force, "force", false, "with --apply: also to a Dockerfile with uncommitted changes")
	f.BoolVar(&s.verify, "verify", false, "build before and after, and compare the images")
	f.BoolVar(&s.noVerify, "no-verify", false, "with --apply: do not build anything")
	return cmd
}

// check returns an error if flags do not go together.
func (s *suggestOptions) check() error {
	modes := 0
	for _, given := range []bool{s.json, s.diff, s.apply, s.undo} {
		if given {
			modes++
		}
	}
	switch {
	case modes > 1:
		return usage("", "--json, --diff, --apply and --undo exclude each other")
	case s.all && !s.apply && !s.diff:
		return usage("stoker suggest --apply --all", "--all goes with --apply or --diff")
	case s.force && !s.apply:
		return usage("stoker suggest --apply --force", "--force goes with --apply")
	case s.noVerify && !s.apply:
		return usage("stoker suggest --apply --no-verify", "--no-verify goes with --apply")
	case s.verify && (s.noVerify || s.undo):
		return usage("", "--verify excludes --no-verify and --undo")
	case s.offer.given() && !s.verify && (!s.apply || s.noVerify):
		return usage("stoker suggest --verify", "--secret and --ssh are for what is built, with --verify or --apply")
	}
	for _, name := range s.rules {
		if !slices.Contains(config.Rules(), name) && !strings.HasPrefix(name, config.BuildKitRules) {
			return usage("stoker suggest --rule "+config.Rules()[0], "there is no rule %s; known are %s", name, strings.Join(config.Rules(), ", "))
		}
	}
	return nil
}

func (s *suggestOptions) run(ctx context.Context, args []string) error {
	if err := s.check(); err != nil {
		return err
	}
	if s.undo {
		return s.takeBack(ctx)
	}
	query, err := s.query(s.options, args)
	if err != nil {
		return err
	}
	req := api.SuggestRequest{Query: query, Changes: s.apply || s.verify || s.diff, Together: s.all, Rules: s.rules}
	answer, err := ask(ctx, s.options, query.AdHoc != nil, func(src source) (api.Suggest, error) {
		return src.Suggest(ctx, req)
	})
	if err != nil {
		return err
	}
	s.narrow(&answer)
	verified, err := s.proven(ctx, query, &answer)
	if err != nil {
		return err
	}
	switch {
	case s.json:
		err = s.out.json(withoutTexts(answer))
	case s.diff:
		s.printDiffs(answer)
	case s.apply:
		err = s.write(ctx, answer, verified)
	default:
		s.print(answer)
	}
	if err != nil {
		return err
	}
	for _, d := range answer.Definitions {
		if d.Problem != "" {
			if s.diff {
				s.fail(&api.Error{Message: d.Problem, Hint: d.Hint})
			}
			return verdict(api.BadInput)
		}
	}
	if !verified {
		return verdict(api.Failed) // what failed is printed already
	}
	return nil
}

// write applies the suggestions of answer that --apply makes, except those that were
// not verified as equal. It fails if a file has changed since they were made.
func (s *suggestOptions) write(ctx context.Context, answer api.Suggest, verified bool) error {
	if !verified {
		s.printWithdrawn(answer)
		if s.all {
			s.hint("without --all each change is verified alone")
		}
	}
	wanted := slices.DeleteFunc(s.wanted(answer), func(one api.Suggestion) bool {
		if one.Verification == nil {
			return s.proved // it was not to be made, until another one was withdrawn
		}
		return one.Verification.Outcome != api.VerifiedEqual
	})
	if len(wanted) == 0 {
		s.err.line("there is nothing to apply")
		return nil
	}
	applier, err := s.applier(ctx)
	if err != nil {
		return err
	}
	// In one call, so that --undo takes back all of them.
	if err := applier.Apply(ctx, s.changes(answer, wanted)); err != nil {
		return err
	}
	for _, w := range wanted {
		files := []string{visible(w.File, nil)}
		for _, c := range w.Changes {
			if c.Path != w.File {
				files = append(files, visible(c.Path, nil))
			}
		}
		s.out.line(series(files)+":", visible(w.Title, nil))
	}
	s.hint("stoker suggest --undo takes it back")
	return nil
}

// wanted returns the suggestions of answer that --apply makes.
func (s *suggestOptions) wanted(answer api.Suggest) []api.Suggestion {
	if s.all {
		return applicable(answer)
	}
	return best(answer)
}

// changes returns the changes of files that the wanted suggestions make. With --all
// they are those of the answer, in which each change is made upon the ones before it.
func (s *suggestOptions) changes(answer api.Suggest, wanted []api.Suggestion) []suggest.Change {
	made := answer.Changes
	if !s.all {
		for _, one := range wanted {
			made = append(made, one.Changes...)
		}
	}
	list := make([]suggest.Change, len(made))
	for i, c := range made {
		list[i] = suggest.Change{Path: c.Path, Old: c.Old, New: c.New}
	}
	return list
}

// applier returns an applier for the repository around the current folder.
func (s *suggestOptions) applier(ctx context.Context) (suggest.Applier, error) {
	root, err := project.Root(ctx, s.Dir)
	if err != nil {
		return suggest.Applier{}, err
	}
	paths, err := ipc.Locate(s.Getenv)
	if err != nil {
		return suggest.Applier{}, err
	}
	a := suggest.Applier{Root: root, State: paths.State, Force: s.force}
	if repo, err := git.Open(ctx, root); err == nil {
		a.Dirty = repo.Dirty
	}
	return a, nil
}

// takeBack undoes what --apply did last.
func (s *suggestOptions) takeBack(ctx context.Context) error {
	applier, err := s.applier(ctx)
	if err != nil {
		return err
	}
	names, err := applier.Undo(ctx)
	if err != nil {
		return err
	}
	s.out.line("restored", visible(strings.Join(names, ", "), nil))
	return nil
}

// Suggest answers as the daemon does.
func (l *local) Suggest(ctx context.Context, req api.SuggestRequest) (api.Suggest, error) {
	bare := l.withoutFindings()
	p, err := bare.picture(ctx, req.Query)
	if err != nil {
		return api.Suggest{}, err
	}
	builds, history, costs, err := l.advice(ctx, p, req.Names)
	if err != nil {
		return api.Suggest{}, err
	}
	if !req.Together {
		return advise.Wire(p, req, advise.Suggest(ctx, p, builds, history, costs), history), ctx.Err()
	}
	opener, _, err := bare.opener(p.Root)
	if err != nil {
		return api.Suggest{}, err
	}
	answers, made := advise.Together(ctx, opener, p, builds, history, costs, req.Rules)
	return advise.WireTogether(p, req, answers, made, history), ctx.Err()
}

// advice gathers what the rules need: the builds of names, the history of the
// repository, and what steps cost.
func (l *local) advice(ctx context.Context, p *project.Picture, names []string) ([]*project.Build, advise.History, advise.Costs, error) {
	builds, err := report.Select(p, names)
	if err != nil {
		return nil, advise.History{}, nil, err
	}
	history, err := new(advise.Memory).Read(ctx, p, advise.Commits)
	if err != nil {
		return nil, advise.History{}, nil, err
	}
	if history, err = history.Assuming(ctx, p, builds); err != nil {
		return nil, advise.History{}, nil, err
	}
	costs, err := l.costs(p.Root)
	return builds, history, costs, err
}
