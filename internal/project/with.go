package project

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"

	buildctx "github.com/stokerd/stoker/context"
)

// With returns p as it would be if Dockerfiles and ignore files had other texts, which are
// given by absolute path. Texts from an earlier call stay. Nothing on the disk changes. Builds
// keep the findings that they have in p.
func (o *Opener) With(ctx context.Context, p *Picture, texts map[string][]byte) *Picture {
	next := *p
	next.texts = maps.Clone(p.texts)
	if next.texts == nil {
		next.texts = map[string][]byte{}
	}
	changed := map[string]bool{}
	for name, text := range texts {
		name = located(name)
		next.texts[name], changed[name] = text, true
	}
	next.Builds = slices.Clone(p.Builds)
	for i, b := range p.Builds {
		if !b.reads(changed) {
			continue
		}
		is := &Build{Definition: b.Definition, findings: b.findings, found: b.found}
		s, err := buildctx.ComputeFrom(ctx, b.Definition, o.Resolver, next.view, next.Text)
		if err != nil {
			is.Problem = next.problem(b.Definition, err)
		} else {
			is.Selection = s
		}
		next.Builds[i] = is
	}
	return &next
}

// Text returns the text of a Dockerfile or an ignore file: that of [Opener.With], else the one
// on the disk. If there is no such file, the error wraps fs.ErrNotExist.
func (p *Picture) Text(name string) ([]byte, error) {
	if text, ok := p.texts[located(name)]; ok {
		return text, nil
	}
	return os.ReadFile(name)
}

// reads reports whether one of the files is the build's Dockerfile or, even if it does not
// exist yet, one of its ignore files.
func (b *Build) reads(names map[string]bool) bool {
	def := b.Definition
	list := []string{def.Dockerfile, def.Dockerfile + ".dockerignore", filepath.Join(def.Context, ".dockerignore")}
	for _, dir := range def.LocalContexts() {
		list = append(list, filepath.Join(dir, ".dockerignore"))
	}
	return slices.ContainsFunc(list, func(name string) bool { return names[located(name)] })
}

// located resolves symbolic links in name, which need not exist, so that a file has the same
// path no matter how it is named.
func located(name string) string {
	if dir, err := filepath.EvalSymlinks(filepath.Dir(name)); err == nil {
		name = filepath.Join(dir, filepath.Base(name))
	}
	if to, err := filepath.EvalSymlinks(name); err == nil {
		return to
	}
	return name
}
