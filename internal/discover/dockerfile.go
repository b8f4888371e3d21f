package discover

import (
	"encoding/json"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	buildctx "github.com/stokerd/stoker/context"
)

// dockerfile makes a definition of a Dockerfile that no other definition uses.
func (f *finder) dockerfile(rel string) {
	name := filepath.Join(f.root, filepath.FromSlash(rel))
	if slices.ContainsFunc(f.definitions, func(d buildctx.Definition) bool { return d.Dockerfile == name }) {
		return
	}
	data, err := f.readFile(rel)
	if err != nil {
		f.problem(Problem{File: rel, Text: "cannot be read: " + reason(err), Hint: "mend or remove it"})
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

// learnt adds the observed builds that no other definition stands for, while
// their Dockerfile is there.
func (f *finder) learnt() {
	for _, d := range f.options.Learnt {
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

// inferContext guesses what a Dockerfile below the root is built from: nothing
// in it says so. It is the nearest directory, from its own up to the root, that
// has every COPY source; its own, if none has.
func (f *finder) inferContext(rel, text string) string {
	dir := path.Dir(rel)
	own := filepath.Join(f.root, filepath.FromSlash(dir))
	sources := copySources(text)
	if dir == "." || len(sources) == 0 {
		return own
	}
	for at := dir; ; at = path.Dir(at) {
		missing := slices.IndexFunc(sources, func(s source) bool { return !f.exists(at, s.path) })
		if missing < 0 && at != dir {
			first := sources[slices.IndexFunc(sources, func(s source) bool { return !f.exists(dir, s.path) })]
			f.note(rel, first.line, "context is taken to be "+shownDir(at)+", because "+strconv.Quote(first.path)+" is there and not in "+dir)
		}
		if missing < 0 {
			return filepath.Join(f.root, filepath.FromSlash(at))
		}
		if at == "." {
			return own
		}
	}
}

// shownDir names a directory of the repository in a sentence.
func shownDir(rel string) string {
	if rel == "." {
		return "the repository's root"
	}
	return rel
}

// exists reports whether a COPY source, which may hold wildcards, is in dir.
func (f *finder) exists(dir, source string) bool {
	source = path.Join("/", source) // a source cannot leave its context
	pattern := filepath.Join(escapeGlob(filepath.Join(f.root, filepath.FromSlash(dir))), filepath.FromSlash(source))
	matches, err := filepath.Glob(pattern)
	return err == nil && len(matches) > 0
}

// escapeGlob keeps a directory's name from being read as a pattern.
func escapeGlob(name string) string {
	return strings.NewReplacer(`*`, `[*]`, `?`, `[?]`, `[`, `[[]`).Replace(name)
}

// source is one source of a COPY or ADD that names something in the context.
type source struct {
	path string
	line int
}

// copySources lists the COPY and ADD sources that say something about where
// the context is. It reads lines, not the language: a guess needs no more, and
// the plan of the definition is made by BuildKit's own parser.
func copySources(text string) []source {
	var sources []source
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		start := i + 1
		logical := strings.TrimSpace(lines[i])
		for strings.HasSuffix(logical, `\`) && i+1 < len(lines) {
			i++
			if next := strings.TrimSpace(lines[i]); !strings.HasPrefix(next, "#") {
				logical = strings.TrimSpace(strings.TrimSuffix(logical, `\`)) + " " + next
			}
		}
		word, rest, _ := strings.Cut(logical, " ")
		if strings.EqualFold(word, "COPY") || strings.EqualFold(word, "ADD") {
			for _, arg := range copyArgs(rest) {
				sources = append(sources, source{arg, start})
			}
		}
	}
	return sources
}

// copyArgs returns the sources of one COPY or ADD; none if they come from
// another stage, from a heredoc, a URL or a variable.
func copyArgs(rest string) []string {
	var words []string
	for word := range strings.FieldsSeq(rest) {
		switch {
		case strings.HasPrefix(word, "--from="), strings.HasPrefix(word, "<<"):
			return nil
		case !strings.HasPrefix(word, "--") || len(words) > 0:
			words = append(words, word)
		}
	}
	if len(words) > 0 && strings.HasPrefix(words[0], "[") {
		var list []string
		if json.Unmarshal([]byte(strings.Join(words, " ")), &list) != nil {
			return nil
		}
		words = list
	}
	if len(words) < 2 {
		return nil
	}
	return slices.DeleteFunc(words[:len(words)-1], func(word string) bool {
		return strings.Contains(word, "$") || strings.Contains(word, "://") || strings.HasPrefix(word, "git@") ||
			path.Join("/", word) == "/"
	})
}
