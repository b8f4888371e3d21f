package cli

import (
	"context"
	"fmt"
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
	json, diff, apply, undo, force bool
	rules                          []string
}

func newSuggest(o *options) *cobra.Command {
	s := &suggestOptions{options: o}
	cmd := &cobra.Command{
		Use:   "suggest [NAME]",
		Short: "Propose changes to Dockerfiles, with the seconds that each saves",
		Long: `Propose changes to the Dockerfiles, the one that saves most first, with evidence
from the repository's own history.

--apply edits in place and leaves comments and formatting alone. It refuses a
Dockerfile with uncommitted changes, unless --force is given. Advice, which would
make another image on purpose or is for you to decide, is shown and never applied.`,
		RunE: func(cmd *cobra.Command, args []string) error { return s.run(cmd.Context(), args) },
	}
	s.register(cmd)
	f := cmd.Flags()
	f.StringArrayVar(&s.rules, "rule", nil, "only this `rule`; can be given several times")
	f.BoolVar(&s.json, "json", false, "print JSON")
	f.BoolVar(&s.diff, "diff", false, "print the changes as a unified diff")
	f.BoolVar(&s.apply, "apply", false, "make the best change of each Dockerfile")
	f.BoolVar(&s.undo, "undo", false, "take back what --apply did last in this repository")
	f.BoolVar(&s.force, "force", false, "with --apply: also to a Dockerfile with uncommitted changes")
	return cmd
}

func (s *suggestOptions) run(ctx context.Context, args []string) error {
	modes := 0
	for _, given := range []bool{s.json, s.diff, s.apply, s.undo} {
		if given {
			modes++
		}
	}
	switch {
	case modes > 1:
		return usage("", "--json, --diff, --apply and --undo exclude each other")
	case s.force && !s.apply:
		return usage("stoker suggest --apply --force", "--force goes with --apply")
	case s.undo:
		return s.takeBack(ctx)
	}
	for _, name := range s.rules {
		if !slices.Contains(config.Rules(), name) && !strings.HasPrefix(name, config.BuildKitRules) {
			return usage("stoker suggest --rule "+config.Rules()[0], "there is no rule %s; known are %s", name, strings.Join(config.Rules(), ", "))
		}
	}
	query, err := s.query(s.options, args)
	if err != nil {
		return err
	}
	answer, err := ask(ctx, s.options, query.AdHoc != nil, func(src source) (api.Suggest, error) {
		return src.Suggest(ctx, api.SuggestRequest{Query: query})
	})
	if err != nil {
		return err
	}
	s.narrow(&answer)
	switch {
	case s.json:
		err = s.out.json(answer)
	case s.diff:
		s.printDiffs(answer)
	case s.apply:
		return s.write(ctx, query, answer)
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
	return nil
}

// write makes the changes that answer shows. They are computed again from the
// files as they are now, and only what equals the answer is written.
func (s *suggestOptions) write(ctx context.Context, query api.Query, answer api.Suggest) error {
	wanted := best(answer)
	if len(wanted) == 0 {
		s.err.line("there is nothing to apply")
		return nil
	}
	l := &local{options: s.options}
	p, computed, err := l.suggestions(ctx, query)
	if err != nil {
		return err
	}
	applier, err := s.applier(ctx, p.Root)
	if err != nil {
		return err
	}
	byDiff := map[string][]suggest.Change{}
	for _, a := range computed {
		for _, one := range a.Suggestions {
			byDiff[one.Diff()] = one.Changes
		}
	}
	var changes []suggest.Change
	for _, w := range wanted {
		list, ok := byDiff[w.Diff]
		if !ok {
			return fmt.Errorf("change %s: %w", w.File, suggest.ErrChanged)
		}
		changes = append(changes, list...)
	}
	// All at once: --undo takes all of it back.
	if err := applier.Apply(ctx, changes); err != nil {
		return err
	}
	for _, w := range wanted {
		s.out.line(visible(w.File, nil)+":", visible(w.Title, nil))
	}
	s.hint("stoker suggest --undo takes it back")
	return nil
}

func (s *suggestOptions) applier(ctx context.Context, root string) (suggest.Applier, error) {
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

func (s *suggestOptions) takeBack(ctx context.Context) error {
	root, err := project.Root(ctx, s.Dir)
	if err != nil {
		return err
	}
	applier, err := s.applier(ctx, root)
	if err != nil {
		return err
	}
	names, err := applier.Undo()
	if err != nil {
		return err
	}
	s.out.line("restored", visible(strings.Join(names, ", "), nil))
	return nil
}

// Suggest answers as the daemon does.
func (l *local) Suggest(ctx context.Context, req api.SuggestRequest) (api.Suggest, error) {
	p, err := l.withoutFindings().picture(ctx, req.Query)
	if err != nil {
		return api.Suggest{}, err
	}
	answers, history, err := l.advise(ctx, p, req.Names)
	if err != nil {
		return api.Suggest{}, err
	}
	return advise.Wire(p, answers, history), nil
}

func (l *local) suggestions(ctx context.Context, q api.Query) (*project.Picture, []advise.Answer, error) {
	p, err := l.withoutFindings().picture(ctx, q)
	if err != nil {
		return nil, nil, err
	}
	answers, _, err := l.advise(ctx, p, q.Names)
	return p, answers, err
}

func (l *local) advise(ctx context.Context, p *project.Picture, names []string) ([]advise.Answer, advise.History, error) {
	builds, err := report.Select(p, names)
	if err != nil {
		return nil, advise.History{}, err
	}
	history, err := new(advise.Memory).Read(ctx, p, advise.Commits)
	if err != nil {
		return nil, advise.History{}, err
	}
	costs, err := l.costs(p.Root)
	if err != nil {
		return nil, advise.History{}, err
	}
	return advise.Suggest(ctx, p, builds, history, costs), history, nil
}
