package cli

import (
	"github.com/spf13/cobra"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/version"
)

func newVersion(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print which stoker this is, and which daemon runs",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			i := version.Get()
			o.out.printf("stoker %s\n%s, %s, wire level %d\n", i, i.Go, i.Platform, api.Level)
			c, err := o.daemon(cmd.Context())
			if err != nil {
				return nil // most of the time none runs, and this is not the place to say so
			}
			defer c.Close()
			if v, err := c.Version(cmd.Context()); err == nil {
				o.out.printf("daemon %s, pid %d\n", v.Version, v.PID)
			}
			return nil
		},
	}
}
