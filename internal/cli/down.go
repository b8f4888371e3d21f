package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/client"
	"github.com/stokerd/stoker/internal/ipc"
)

func newDown(o *options) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "down [DIR]",
		Short: "Stop watching a repository; --all ends the daemon",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if all && len(args) > 0 {
				return usage("stoker down --all ends the daemon and with it all watching", "--all takes no directory")
			}
			return o.down(cmd.Context(), api.DownRequest{Dir: o.dir(args), All: all})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "stop watching every repository, and end the daemon")
	return cmd
}

// down has the daemon stop watching, or end. It returns when that is done: a daemon
// that ends has released its lock. It is no error if no daemon runs.
func (o *options) down(ctx context.Context, req api.DownRequest) error {
	c, err := o.daemon(ctx)
	if errors.Is(err, client.ErrNoDaemon) {
		o.err.line("no daemon runs")
		return nil
	}
	if err != nil {
		return err
	}
	defer c.Close()
	done, err := c.Down(ctx, req)
	if err != nil {
		return err
	}
	if done.Message != "" {
		o.err.line(visible(done.Message, nil))
	}
	if !req.All {
		return nil
	}
	paths, err := ipc.Locate(o.Getenv)
	if err != nil {
		return err
	}
	return ipc.WaitReleased(ctx, paths)
}
