package project

import (
	"path/filepath"

	buildctx "github.com/stokerd/stoker/context"
)

// RuleStaleStat is a change that no builder sees: BuildKit has a file sent again only
// if its size, time, mode or link target changed, and never looks again at the mode
// of a directory. Only who saw what a builder was sent can find it.
const RuleStaleStat = "stale-stat"

// Unseen returns the finding of a file of a build's main context that changed in
// such a way; false if it is accepted, or not there.
func (p *Picture) Unseen(b *Build, name string) (Finding, bool) {
	file, ok := b.Selection.Main.Lookup(name)
	if !ok {
		return Finding{}, false
	}
	f := Finding{
		Rule: RuleStaleStat, Severity: Warning, Definition: b.Definition.Name,
		Path:    p.Relative(filepath.Join(b.Selection.Main.Root, filepath.FromSlash(name))),
		Message: "BuildKit will not see this change, because size, time and mode are what they were: touch the file",
	}
	if buildctx.TypeOf(file.Mode) == "dir" {
		f.Message = "BuildKit will not see that the mode of this folder changed: rename it, or prune the builder's cache"
	}
	f.Fingerprint = fingerprint(f.Rule, f.Path)
	return f.placed(b.Selection, b.Selection.Main, file), !accepted(f, p.Config.Allow)
}
