package discover

import (
	"context"
	"errors"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/context/dockerfile"
)

// actual returns the path that is read for the Dockerfile at name: its variant in lower
// case if only that is there (BuildKit: dockerui.ReadEntrypoint).
func (f *finder) actual(name string) string {
	if !filepath.IsAbs(name) || filepath.Base(name) != "Dockerfile" || regular(name) == nil {
		return name
	}
	lower := filepath.Join(filepath.Dir(name), lowerDockerfile)
	f.read(lower)
	if regular(lower) != nil {
		return name
	}
	f.read(name) // if it appears, it wins
	return lower
}

// dockerfile adds a definition for a Dockerfile, unless another definition uses it.
func (f *finder) dockerfile(ctx context.Context, rel string) {
	name := filepath.Join(f.root, filepath.FromSlash(rel))
	if path.Base(rel) == lowerDockerfile {
		// On a file system that ignores case, both names are one file.
		if first := filepath.Join(filepath.Dir(name), "Dockerfile"); f.actual(first) == first && !sameFile(first, name) {
			return
		} else if sameFile(first, name) {
			name = first
		}
	}
	if slices.ContainsFunc(f.definitions, func(d buildctx.Definition) bool { return d.Dockerfile == name }) {
		return
	}
	data, err := f.readFile(rel)
	if err != nil {
		f.problem(Problem{File: rel, Text: "cannot be read: " + reason(err), Hint: "mend or remove it"})
		return
	}
	if isTemplate(ctx, name, data) {
		f.note(rel, 0, "is a template, and no build until it is filled in")
		return
	}
	if strings.HasPrefix(firstLine(string(data)), colour) {
		f.note(rel, 0, "is coloured for a terminal, and no Dockerfile")
		return
	}
	d := buildctx.Definition{Name: dockerfileName(rel, filepath.Base(f.root)), Origin: rel, Dockerfile: name}
	built := slices.IndexFunc(f.options.Learnt, func(l buildctx.Definition) bool { return l.Dockerfile == name })
	if built >= 0 {
		d.Context = f.options.Learnt[built].Context
	} else {
		d.Context = f.inferContext(rel, string(data))
	}
	f.definitions = append(f.definitions, d)
}

// sameFile reports whether both paths lead to the same file.
func sameFile(a, b string) bool {
	one, err := os.Stat(a)
	if err != nil {
		return false
	}
	other, err := os.Stat(b)
	return err == nil && os.SameFile(one, other)
}

// isTemplate reports whether a file is a template for a Dockerfile: BuildKit rejects it at a
// line with the delimiters of a template language, or it begins with one, which no Dockerfile
// does. The line alone would not do: what BuildKit's parser rejects it finds before that.
func isTemplate(ctx context.Context, name string, text []byte) bool {
	marks := []string{"{{", "{%", "<%", "%%", "@@"}
	marked := func(text string) bool {
		return slices.ContainsFunc(marks, func(mark string) bool { return strings.Contains(text, mark) })
	}
	if !marked(string(text)) {
		return false
	}
	_, err := dockerfile.Convert(ctx, dockerfile.Input{Dockerfile: name, Text: text, Context: filepath.Dir(name)}, nil)
	var refused *dockerfile.Error
	if !errors.As(err, &refused) {
		return false
	}
	first := firstLine(string(text))
	if slices.ContainsFunc(marks, func(mark string) bool { return strings.HasPrefix(first, mark) }) {
		return true
	}
	lines := strings.Split(string(text), "\n")
	return refused.Line < 1 || refused.Line > len(lines) || marked(lines[refused.Line-1])
}

// colour begins each change of colour in text for a terminal. A file that begins with one is what a
// highlighter made of a Dockerfile. No instruction begins so, not even a misspelt one, which is told.
const colour = "\x1b["

// firstLine returns the first line of a Dockerfile that is neither empty nor a comment, without the
// space around it; "" if there is none.
func firstLine(text string) string {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			return line
		}
	}
	return ""
}

// learnt adds the observed builds that no other definition describes, if their Dockerfile
// exists.
func (f *finder) learnt() {
	for _, d := range f.options.Learnt {
		f.read(d.Dockerfile)
		if slices.ContainsFunc(f.definitions, func(known buildctx.Definition) bool { return known.Describes(d) }) || regular(d.Dockerfile) != nil {
			continue
		}
		d.Name = dockerfileName(f.rel(d.Dockerfile), filepath.Base(f.root))
		if d.Target != "" {
			d.Name += "-" + d.Target
		}
		f.definitions = append(f.definitions, d)
	}
}
