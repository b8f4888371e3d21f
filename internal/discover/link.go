package discover

import (
	"fmt"
	"slices"
	"strings"

	buildctx "github.com/stokerd/stoker/context"
)

// link returns the definition called name with Linked filled in: the definitions that its
// named contexts refer to as target:NAME, linked in turn (buildx: Config.loadLinks). from is
// the chain of names that led here; a cycle is an error.
func link(all map[string]buildctx.Definition, name string, from ...string) (buildctx.Definition, error) {
	d, ok := all[name]
	if !ok {
		return d, fmt.Errorf("%s builds on %s, which does not exist", from[len(from)-1], name)
	}
	if slices.Contains(from, name) {
		return d, fmt.Errorf("%s builds on itself", name)
	}
	for _, ref := range d.NamedContexts {
		other, ok := strings.CutPrefix(ref, buildctx.TargetPrefix)
		if !ok {
			continue
		}
		base, err := link(all, other, append(slices.Clip(from), name)...)
		if err != nil {
			return d, err
		}
		d.Linked = overlay(d.Linked, map[string]buildctx.Definition{other: base})
	}
	return d, nil
}
