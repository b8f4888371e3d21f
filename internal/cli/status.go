package cli

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/client"
	"github.com/stokerd/stoker/internal/config"
)

type statusOptions struct {
	*options
	json, watch, all bool
}

func newStatus(o *options) *cobra.Command {
	s := &statusOptions{options: o}
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show builds, context sizes, findings, hit rates, warmth and the builder",
		Long: `Show the repository around the current folder: what it builds, what that sends,
what is wrong with it, how the cache did, and the builder. One that is not
watched is computed on the spot. --json always has all that are watched.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if s.watch {
				return s.follow(cmd.Context())
			}
			return s.once(cmd.Context())
		},
	}
	cmd.Flags().BoolVar(&s.json, "json", false, "print JSON")
	cmd.Flags().BoolVarP(&s.all, "all", "a", false, "show every watched repository")
	cmd.Flags().BoolVarP(&s.watch, "watch", "w", false, "redraw as things change; with --json, one object a line")
	return cmd
}

// once prints the daemon's status. With --json it copies the daemon's bytes, which are
// about all repositories. Without a daemon it prints a local status.
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
	here, watched := s.here(status)
	if !watched && !s.all && isProject(s.Dir) {
		return s.unwatched(ctx, status)
	}
	s.out.status(here)
	if !watched {
		s.hint("this folder is not watched: `stoker up` watches the repository around it")
	}
	return nil
}

// here returns a status with only the repositories around the current folder, and
// whether there are any. It leaves all of them if there are none, or with --all.
func (s *statusOptions) here(status api.Status) (api.Status, bool) {
	around := slices.DeleteFunc(slices.Clone(status.Repositories), func(r api.Repository) bool { return !s.isIn(r.Root) })
	if len(around) > 0 && !s.all {
		status.Repositories = around
	}
	return status, len(around) > 0
}

// unwatched prints the status of a repository that the daemon does not watch.
func (s *statusOptions) unwatched(ctx context.Context, daemon api.Status) error {
	status, err := (&local{options: s.options}).Status(ctx, s.Dir)
	if err != nil {
		return err
	}
	status.Builder = daemon.Builder
	s.out.status(status)
	s.hint("this folder is not watched, and was computed on the spot: `stoker up` keeps it ready")
	return nil
}

// isProject reports whether dir is in a git repository, or has a file that names
// builds. Elsewhere, as in a home folder, status does not read the files.
func isProject(dir string) bool {
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Stat(filepath.Join(at, ".git")); err == nil {
			return true
		}
		if at == filepath.Dir(at) {
			break
		}
	}
	for _, name := range []string{
		config.FileName, "Dockerfile", "compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml",
		"docker-bake.hcl", "docker-bake.json",
	} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return true
		}
	}
	return false
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

// onTheSpot prints a status that is computed without the daemon, because of err. It
// returns err if that is not about the daemon's absence.
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

// follow prints the status now and whenever it changes, until ctx or the daemon ends.
func (s *statusOptions) follow(ctx context.Context) error {
	c, err := s.mustDaemon(ctx, "no daemon runs that could tell of changes", "`stoker up` starts one")
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
		shown, _ := s.here(status)
		s.out.status(shown)
		return nil
	})
}

// status prints a status for people.
func (p printer) status(s api.Status) {
	s = shown(s)
	p.builder(s.Builder)
	if s.Daemon != nil && s.Daemon.Unstored != nil {
		p.unstored(*s.Daemon.Unstored)
	}
	if len(s.Repositories) == 0 {
		p.line("no repository is watched")
	}
	for _, r := range s.Repositories {
		p.line()
		p.repository(s, r)
	}
}

// unstored says that builds could not be stored.
func (p printer) unstored(u api.Unstored) {
	what := "what is known of the builder's cache"
	if u.Builds > 0 {
		what = plural(u.Builds, "build")
	}
	since := u.Since.Local().Format("2006-01-02 15:04")
	p.wrapped(p.warn("store")+"    ", what+" could not be stored since "+since+": "+u.Problem)
	p.wrapped(strings.Repeat(" ", 9), p.dim("hint: "+u.Hint))
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
	parts := []string{p.dim("builder"), p.bold(p.fit(b.Name, len("builder  ")))}
	if b.Version != "" {
		parts = append(parts, "BuildKit "+b.Version)
	}
	if b.Address != b.Name {
		parts = append(parts, p.dim(p.fit(b.Address, 2)))
	}
	p.pieces(parts)
	reading := ""
	if b.Unread > 1 { // one stands for a list that is on its way, too
		reading = plural(b.Unread, "build") + " of its history to be read still"
	}
	for _, text := range []string{b.Hint, b.Note, reading} {
		if text != "" {
			p.wrapped(strings.Repeat(" ", 9), p.dim(text))
		}
	}
}
