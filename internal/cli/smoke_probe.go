package cli

import (
	"encoding/json"

	"github.com/spf13/cobra"

	"github.com/stokerd/stoker/internal/probe"
	"github.com/stokerd/stoker/internal/smoke"
)

// newSmokeProbe returns the command that `stoker build --smoke` starts in a container. It prints what it saw as JSON, and
// fails only if its argument is wrong.
func newSmokeProbe(o *options) *cobra.Command {
	return &cobra.Command{
		Use:    smoke.Command + " SPEC",
		Short:  "Look at the program of the container that this runs in",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var spec probe.Spec
			if err := json.Unmarshal([]byte(args[0]), &spec); err != nil {
				return usage("", "the spec is no JSON: %v", err)
			}
			return o.out.json(probe.Run(cmd.Context(), spec))
		},
	}
}
