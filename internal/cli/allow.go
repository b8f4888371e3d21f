package cli

import (
	"context"
	"os"

	"github.com/spf13/cobra"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/ipc"
)

func newAllow(o *options) *cobra.Command {
	var pulls bool
	cmd := &cobra.Command{
		Use:   "allow [DIR]",
		Short: "Let a repository's steps run to warm the cache",
		Long: `Consent to running the steps of the repository around DIR ahead of builds. The
consent is kept outside the repository, for its real path and its owner.

When HEAD moves to commits that you neither made nor built, warming falls back
to base images until you have built that state, unless --pulls was given.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.consent(cmd.Context(), args, api.AllowRequest{Pulls: pulls})
		},
	}
	cmd.Flags().BoolVar(&pulls, "pulls", false, "also for commits that came from elsewhere")
	return cmd
}

func newDisallow(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "disallow [DIR]",
		Short: "Take back what allow gave",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.consent(cmd.Context(), args, api.AllowRequest{Revoke: true})
		},
	}
}

// consent has the daemon store whether the repository of args is allowed. Only the
// daemon writes to the store, so consent starts one if none runs.
func (o *options) consent(ctx context.Context, args []string, req api.AllowRequest) error {
	req.Dir = o.dir(args)
	if _, err := o.existing(args); err != nil && !(req.Revoke && o.hasStore()) {
		return err
	}
	c, err := o.start(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	done, err := c.Allow(ctx, req)
	if err != nil {
		return err
	}
	o.err.line(visible(done.Message, nil))
	return nil
}

// hasStore reports whether there is a store. If so, disallow works for a folder that
// was removed, for which it may have consent.
func (o *options) hasStore() bool {
	paths, err := ipc.Locate(o.Getenv)
	if err != nil {
		return false
	}
	_, err = os.Stat(paths.Store)
	return err == nil
}
