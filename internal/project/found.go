package project

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"

	buildctx "github.com/stokerd/stoker/context"
)

// found has the findings in one local context of a build. They are kept by file, so that
// an update only inspects files that changed. It is immutable once made.
type found struct {
	files   map[string][]Finding // by the file's path in the context
	sources []Finding            // of missingSources
	// links has the sent symbolic links by their target in the context: if the target
	// comes or goes, so does the finding that they are broken.
	links map[string][]string
}

// A look inspects the files of one local context.
type look struct {
	opener    *Opener
	picture   *Picture
	selection *buildctx.Selection
	local     buildctx.Local
}

// everywhere inspects all files.
func (k look) everywhere(ctx context.Context) found {
	next := found{files: map[string][]Finding{}, links: map[string][]string{}}
	k.opener.Secrets.ahead(ctx, k.local)
	for f := range k.local.All() {
		if ctx.Err() != nil {
			break
		}
		k.at(ctx, f, &next)
	}
	next.sources = k.named(k.missingSources())
	return next
}

// again inspects the files at paths, and links that depend on them. The other findings it
// takes from old, which was found in was, an earlier state of the same context.
func (k look) again(ctx context.Context, paths []string, was buildctx.Local, old found) found {
	next := found{files: maps.Clone(old.files), links: old.links}
	changed := map[string]bool{}
	copied := false
	for _, name := range paths {
		changed[name] = true
		// Links to this path, or to a directory above it, which may have come or gone with it.
		for at := name; at != "."; at = path.Dir(at) {
			for _, link := range old.links[at] {
				changed[link] = true
			}
		}
		if f, ok := was.Lookup(name); ok && f.Link != "" && !copied {
			next.links, copied = maps.Clone(old.links), true
		}
		if f, ok := k.local.Lookup(name); ok && f.Link != "" && !copied {
			next.links, copied = maps.Clone(old.links), true
		}
	}
	for name := range changed {
		delete(next.files, name)
		if f, ok := was.Lookup(name); ok && copied {
			next.unlink(f)
		}
		if f, ok := k.local.Lookup(name); ok {
			k.at(ctx, f, &next)
		} else {
			k.opener.Secrets.forget(k.local.Root, name)
		}
	}
	next.sources = k.named(k.missingSources())
	return next
}

// at inspects one file, and adds what it finds to into.
func (k look) at(ctx context.Context, f buildctx.File, into *found) {
	if f.Mode.IsDir() {
		return
	}
	var list []Finding
	if one, ok := inspect(k.local, f, k.picture.Config.Budget); ok {
		list = append(list, one)
	}
	list = append(list, k.opener.Secrets.findings(ctx, k.local, f)...)
	for i := range list {
		list[i] = list[i].placed(k.selection, k.local, f)
	}
	if len(list) > 0 {
		into.files[f.Path] = k.named(list)
	}
	if target, ok := linked(f); ok && !slices.Contains(into.links[target], f.Path) {
		into.links[target] = append(slices.Clip(into.links[target]), f.Path)
	}
}

// unlink removes a link from n.links.
func (n *found) unlink(f buildctx.File) {
	target, ok := linked(f)
	if !ok {
		return
	}
	rest := slices.DeleteFunc(slices.Clone(n.links[target]), func(name string) bool { return name == f.Path })
	n.links[target] = rest
	if len(rest) == 0 {
		delete(n.links, target)
	}
}

// named sets in findings, in place, the build, the path in the repository, the final
// severity and the fingerprint.
func (k look) named(list []Finding) []Finding {
	for i := range list {
		f := &list[i]
		f.Definition = k.selection.Definition.Name
		f.Path = k.picture.Relative(filepath.Join(k.local.Root, filepath.FromSlash(f.Path)))
		if f.Reach == buildctx.InContext && f.secret {
			f.Severity = Note // it is not sent, so it cannot leak
		}
		if f.Fingerprint == "" {
			f.Fingerprint = fingerprint(f.Rule, f.Path)
		}
	}
	return list
}

// all returns all findings, sorted by file.
func (n *found) all() []Finding {
	var list []Finding
	for _, name := range slices.Sorted(maps.Keys(n.files)) {
		list = append(list, n.files[name]...)
	}
	return append(list, n.sources...)
}

// findings returns the secrets in f, and a finding if a file that is sent cannot be read.
// A nil cache finds nothing.
func (c *SecretCache) findings(ctx context.Context, l buildctx.Local, f buildctx.File) []Finding {
	if c == nil {
		return nil
	}
	var list []Finding
	results, err := c.scan(ctx, l.Root, f)
	if err != nil && f.Sent && !errors.Is(err, fs.ErrNotExist) && ctx.Err() == nil {
		list = append(list, Finding{
			Rule: RuleUnreadable, Severity: Error, Path: f.Path, Size: f.Size,
			Message: "cannot be read: BuildKit's client will fail; make it readable or ignore it",
		})
	}
	for _, r := range results {
		list = append(list, Finding{
			Rule: r.Rule, Severity: Severity(r.Severity), Path: r.Path, Line: r.Line, Size: f.Size,
			Message: r.Message, Fingerprint: r.Fingerprint, secret: true,
		})
	}
	return list
}
