package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/client"
	"github.com/stokerd/stoker/internal/ipc"
	"github.com/stokerd/stoker/internal/version"
)

type upOptions struct {
	*options
	foreground, allow, pulls, json bool
}

func newUp(o *options) *cobra.Command {
	u := &upOptions{options: o}
	cmd := &cobra.Command{
		Use:   "up [DIR]",
		Short: "Watch a repository in the background and keep its builds warm",
		Long: `Start the daemon of this user if none runs, and have it watch the repository
around DIR (default: the current folder). Doing so again changes nothing.

Nothing of the repository runs until it is allowed: until then only its base
images are pulled.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return u.run(cmd.Context(), args) },
	}
	cmd.Flags().BoolVar(&u.foreground, "foreground", false, "be the daemon, for systemd and containers, and log to stderr")
	cmd.Flags().BoolVar(&u.allow, "allow", false, "allow its steps to run ahead of builds, as stoker allow does")
	cmd.Flags().BoolVar(&u.pulls, "pulls", false, "with --allow: also those of commits that came from elsewhere")
	cmd.Flags().BoolVar(&u.json, "json", false, "print the status as JSON")
	return cmd
}

func (u *upOptions) run(ctx context.Context, args []string) error {
	if u.pulls && !u.allow {
		return usage("stoker up --allow --pulls", "--pulls goes with --allow")
	}
	dir, err := u.existing(args)
	if err != nil {
		return err
	}
	req := api.UpRequest{Dir: dir, Allow: u.allow, Pulls: u.pulls}
	if u.foreground {
		return u.serve(ctx, []api.UpRequest{req})
	}
	c, err := u.start(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	status, err := c.Up(ctx, req)
	if err != nil {
		return err
	}
	if u.json {
		return u.out.json(status)
	}
	here := func(r api.Repository) bool { return (&options{Process: Process{Dir: req.Dir}}).isIn(r.Root) }
	status.Repositories = slices.DeleteFunc(status.Repositories, func(r api.Repository) bool { return !here(r) })
	u.out.status(status)
	if slices.ContainsFunc(status.Repositories, func(r api.Repository) bool { return !r.Allowed }) {
		u.hint("only base images are pulled ahead: `stoker allow` lets the repository's steps run to warm the cache")
	}
	return nil
}

// dir returns the directory that the only argument of a command names, by default
// the current folder.
func (o *options) dir(args []string) string {
	if len(args) == 0 {
		return o.Dir
	}
	if filepath.IsAbs(args[0]) {
		return filepath.Clean(args[0])
	}
	return filepath.Join(o.Dir, args[0])
}

// existing is like dir, and fails if the directory does not exist, so that no daemon
// is started for a mistyped name.
func (o *options) existing(args []string) (string, error) {
	dir := o.dir(args)
	_, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return "", usage("name a folder that exists, or none for the current one", "there is no folder %s", dir)
	}
	return dir, err
}

// start connects to a daemon of this same build of stoker. If none runs, it starts
// one; if another build runs, it may replace it (see [client.ConnectOrStart]).
func (o *options) start(ctx context.Context) (*client.Client, error) {
	paths, err := ipc.Locate(o.Getenv)
	if err != nil {
		return nil, err
	}
	self, err := o.self()
	if err != nil {
		return nil, err
	}
	return client.ConnectOrStart(ctx, paths, self, ipc.Command{Path: o.Executable, Args: []string{daemonCommand}, Log: paths.Log})
}

// self returns the version of this process, with what tells its build from others.
func (o *options) self() (api.Version, error) {
	info := version.Get()
	build, err := info.Build(func() (string, error) { return digest(o.Executable) })
	if err != nil {
		return api.Version{}, fmt.Errorf("tell this stoker from others: %w", err)
	}
	return api.Version{Version: info.Number, Build: build, PID: os.Getpid(), Level: api.Level}, nil
}

// digest returns the SHA-256 of a file, in hex.
func digest(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
