package project

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"

	buildctx "github.com/stokerd/stoker/context"
)

// With returns p as it would be if Dockerfiles and ignore files, by their absolute
// paths, had the given texts, beside those that it has already: what is on the
// disk stays. What is wrong with the files of a build is told as in p.
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

// Text returns the content of a Dockerfile or an ignore file as p has it. Of one
// that is not there the error wraps fs.ErrNotExist.
func (p *Picture) Text(name string) ([]byte, error) {
	if text, ok := p.texts[located(name)]; ok {
		return text, nil
	}
	return os.ReadFile(name)
}

// reads reports whether one of the named files is the build's Dockerfile, or an
// ignore file of it, should there be one.
func (b *Build) reads(names map[string]bool) bool {
	def := b.Definition
	list := []string{def.Dockerfile, def.Dockerfile + ".dockerignore", filepath.Join(def.Context, ".dockerignore")}
	for _, dir := range def.LocalContexts() {
		list = append(list, filepath.Join(dir, ".dockerignore"))
	}
	return slices.ContainsFunc(list, func(name string) bool { return names[located(name)] })
}

// located returns the one path of a file that can be reached by several, whether
// it is there or not.
func located(name string) string {
	if dir, err := filepath.EvalSymlinks(filepath.Dir(name)); err == nil {
		name = filepath.Join(dir, filepath.Base(name))
	}
	if to, err := filepath.EvalSymlinks(name); err == nil {
		return to
	}
	return name
}
