package cli

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/stokerd/stoker/internal/image"
)

// TestGateFlags: stoker build reads limits as stoker image does; "off" is no limit.
func TestGateFlags(t *testing.T) {
	for _, tt := range []struct {
		name  string
		flags []string
		kept  bool // by an image of 200 MB and an efficiency of 0.9
		fails string
	}{
		{name: "none", kept: true},
		{name: "larger", flags: []string{"--max-size", "201MB"}, kept: true},
		{name: "smaller", flags: []string{"--max-size", "199MB"}},
		{name: "off", flags: []string{"--max-size", "off"}, kept: true},
		{name: "lower", flags: []string{"--min-efficiency", "0.85"}, kept: true},
		{name: "higher", flags: []string{"--min-efficiency", "0.95"}},
		{name: "no size", flags: []string{"--max-size", "big"}, fails: `--max-size: "big" is not a size`},
		{name: "no ratio", flags: []string{"--min-efficiency", "95"}, fails: `--min-efficiency: "95" is not between 0 and 1`},
		{name: "not a number", flags: []string{"--min-efficiency", "NaN"}, fails: `--min-efficiency: "NaN" is not between 0 and 1`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g, cmd := &gateFlags{}, &cobra.Command{}
			g.register(cmd)
			if err := cmd.ParseFlags(tt.flags); err != nil {
				t.Fatal(err)
			}
			err := g.check([]string{"trivy"})
			if tt.fails != "" {
				if err == nil || !strings.HasPrefix(err.Error(), tt.fails) {
					t.Errorf("check(%v) = %v, want %s …", tt.flags, err, tt.fails)
				}
				return
			}
			if err != nil {
				t.Fatalf("check(%v) = %v", tt.flags, err)
			}
			kept := true
			for _, r := range g.image.Check(&image.Analysis{Unpacked: 200e6, Efficiency: 0.9}) {
				kept = kept && r.OK
			}
			if kept != tt.kept {
				t.Errorf("with %v, 200 MB and an efficiency of 0.9 are within the limits: %t, want %t", tt.flags, kept, tt.kept)
			}
		})
	}
}
