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

// found is what is wrong with one local context of a build. It is kept by file, so that an
// update looks only at what changed. It is immutable.
type found struct {
	files   map[string][]Finding // by the file's path in the context
	sources []Finding
	// links are the sent links by the place in the context that they lead to. A change
	// of that place decides whether they are broken.
	links map[string][]string
}

// A look looks for what is wrong with a local context.
type look struct {
	opener    *Opener
	picture   *Picture
	selection *buildctx.Selection
	local     buildctx.Local
}

// everywhere looks at all files.
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

// again looks at the paths, and at what depends on them, and takes the rest from old,
// which is what was found in was, an earlier selection of the same context.
func (k look) again(ctx context.Context, paths []string, was buildctx.Local, old found) found {
	next := found{files: maps.Clone(old.files), links: old.links}
	changed := map[string]bool{}
	copied := false
	for _, name := range paths {
		changed[name] = true
		// Links that lead here, or to a directory that this made or unmade.
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

// at looks at one file.
func (k look) at(ctx context.Context, f buildctx.File, into *found) {
	if f.Mode.IsDir() {
		return
	}
	var list []Finding
	if one, ok := wrong(k.local, f, k.picture.Config.Budget); ok {
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

// unlink forgets a link.
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

// named completes findings with the build's name, and what identifies them.
func (k look) named(list []Finding) []Finding {
	for i := range list {
		f := &list[i]
		f.Definition = k.selection.Definition.Name
		f.Path = k.picture.Relative(filepath.Join(k.local.Root, filepath.FromSlash(f.Path)))
		if f.Reach == buildctx.InContext && f.secret {
			f.Severity = Note // worth an ignore line, and leaks nothing
		}
		if f.Fingerprint == "" {
			f.Fingerprint = fingerprint(f.Rule, f.Path)
		}
	}
	return list
}

// all lists the findings.
func (n *found) all() []Finding {
	var list []Finding
	for _, name := range slices.Sorted(maps.Keys(n.files)) {
		list = append(list, n.files[name]...)
	}
	return append(list, n.sources...)
}

// findings are those that secrets in f make, and that it cannot be read.
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
