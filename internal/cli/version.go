package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/version"
)

func newVersion(o *options) *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print which stoker this is, and which daemon runs",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			i, daemon := version.Get(), o.running(cmd.Context())
			if asJSON {
				return o.out.json(api.Program{
					Schema: api.VersionSchema, Version: i.Number, Revision: i.Revision, Modified: i.Modified, Time: i.Time,
					Go: i.Go, Platform: i.Platform, Level: api.Level, Daemon: daemon,
				})
			}
			o.out.printf("stoker %s\n%s, %s, wire level %d\n", i, i.Go, i.Platform, api.Level)
			if daemon != nil {
				o.out.printf("daemon %s, pid %d\n", daemon.Version, daemon.PID)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// running returns the version of the running daemon, nil if none answers.
func (o *options) running(ctx context.Context) *api.ProgramDaemon {
	c, err := o.daemon(ctx)
	if err != nil {
		return nil
	}
	defer c.Close()
	v, err := c.Version(ctx)
	if err != nil {
		return nil
	}
	return &api.ProgramDaemon{Version: v.Version, PID: v.PID}
}
