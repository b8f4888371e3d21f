package cli

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/client"
)

type statusOptions struct {
	*options
	json, watch bool
}

func newStatus(o *options) *cobra.Command {
	s := &statusOptions{options: o}
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show builds, context sizes, findings, hit rates, warmth and the builder",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if s.watch {
				return s.follow(cmd.Context())
			}
			return s.once(cmd.Context())
		},
	}
	cmd.Flags().BoolVar(&s.json, "json", false, "print JSON")
	cmd.Flags().BoolVarP(&s.watch, "watch", "w", false, "redraw as things change; with --json, one object a line")
	return cmd
}

// once prints the status as the daemon has it ready. With --json its bytes are
// copied as they are.
func (s *statusOptions) once(ctx context.Context) error {
	c, err := s.daemon(ctx)
	if err != nil {
		return s.onTheSpot(ctx, err)
	}
	defer c.Close()
	if s.json {
		raw, err := c.StatusJSON(ctx)
		if err != nil {
			return err
		}
		_, err = s.out.w.Write(append(slices.Clip(raw), '\n'))
		return err
	}
	status, err := c.Status(ctx)
	if err != nil {
		return err
	}
	s.out.status(status)
	if !slices.ContainsFunc(status.Repositories, func(r api.Repository) bool { return s.isIn(r.Root) }) {
		s.hint("this folder is not watched: `stoker up` watches the repository around it")
	}
	return nil
}

// isIn reports whether the current folder lies in the directory at root.
func (o *options) isIn(root string) bool {
	dir, err := filepath.EvalSymlinks(o.Dir)
	if err != nil {
		return false
	}
	rel, err := filepath.Rel(root, dir)
	return err == nil && filepath.IsLocal(rel)
}

// onTheSpot prints a status without the daemon, which err says why.
func (s *statusOptions) onTheSpot(ctx context.Context, err error) error {
	if !isUnreachable(err) && !errors.Is(err, client.ErrNoDaemon) {
		return err
	}
	status, lookErr := (&local{options: s.options}).Status(ctx, s.Dir)
	if lookErr != nil {
		return lookErr
	}
	if s.json {
		if err := s.out.json(status); err != nil {
			return err
		}
	} else {
		s.out.status(status)
	}
	if errors.Is(err, client.ErrNoDaemon) {
		s.hint("no daemon runs: computed on the spot; `stoker up` keeps it ready")
		return nil
	}
	e := explain(err)
	s.hint("computed on the spot: %s; %s", e.Message, e.Hint)
	return nil
}

// follow prints the status now and whenever it changes.
func (s *statusOptions) follow(ctx context.Context) error {
	c, err := s.daemon(ctx)
	if errors.Is(err, client.ErrNoDaemon) {
		return &api.Error{Code: api.NoDaemon, Message: "no daemon runs that could tell of changes", Hint: "`stoker up` starts one"}
	}
	if err != nil {
		return err
	}
	defer c.Close()
	return c.Watch(ctx, func(status api.Status) error {
		if s.json {
			return s.out.json(status)
		}
		if s.out.colour {
			s.out.printf("\x1b[H\x1b[2J") // home, and clear below
		}
		s.out.status(status)
		return nil
	})
}

// status prints a status for people.
func (p printer) status(s api.Status) {
	p.builder(s.Builder)
	if len(s.Repositories) == 0 {
		p.line("no repository is watched")
	}
	for _, r := range s.Repositories {
		p.line()
		p.repository(s, r)
	}
}

func (p printer) builder(b api.Builder) {
	head := p.dim("builder") + "  "
	if !b.Connected {
		p.wrapped(head, b.Problem)
		if b.Hint != "" {
			p.wrapped(strings.Repeat(" ", 9), p.dim("hint: "+b.Hint))
		}
		return
	}
	text := p.bold(b.Name)
	if b.Version != "" {
		text += "  BuildKit " + b.Version
	}
	if b.Address != b.Name {
		text += "  " + p.dim(b.Address)
	}
	p.line(head + text)
}
