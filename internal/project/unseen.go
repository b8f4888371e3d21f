package project

import (
	"path/filepath"
	"slices"

	buildctx "github.com/stokerd/stoker/context"
)

// RuleStaleStat is a change that the builder will not see. BuildKit's client sends a file
// again only if its size, time, mode or link target changed, and never sends the new mode of
// a directory. To find such a change, one has to know what the builder was sent before.
const RuleStaleStat = "stale-stat"

// Unseen returns the finding that the file name of a local context of a build changed in such
// a way; false if the configuration allows it, or if there is no such file.
func (p *Picture) Unseen(b *Build, local, name string) (Finding, bool) {
	locals := b.Selection.Locals()
	i := slices.IndexFunc(locals, func(l buildctx.Local) bool { return l.Name == local })
	if i < 0 || locals[i].Root == "" {
		return Finding{}, false
	}
	from := locals[i]
	file, ok := from.Lookup(name)
	if !ok {
		return Finding{}, false
	}
	f := Finding{
		Rule: RuleStaleStat, Severity: Warning, Definition: b.Definition.Name,
		Path:    p.Relative(filepath.Join(from.Root, filepath.FromSlash(name))),
		Message: "BuildKit will not see this change, because size, time and mode are what they were: touch the file",
	}
	if buildctx.TypeOf(file.Mode) == "dir" {
		f.Message = "BuildKit will not see that the mode of this folder changed: rename it, or prune the builder's cache"
	}
	f.Fingerprint = fingerprint(f.Rule, f.Path)
	return f.placed(b.Selection, from, file), !accepted(f, p.Config.Allow)
}
