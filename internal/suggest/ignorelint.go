package suggest

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/context/ignore"
)

// ignoreLint tells of lines of the ignore file that surely do not mean what was meant. See
// docs/rules/ignore-lint.md.
func ignoreLint(in Input) []Suggestion {
	b := in.Builds[0]
	if b.Ignore.Text == nil {
		return nil
	}
	f, err := ignore.Parse(b.Ignore.Path, b.Ignore.Text)
	if err != nil {
		return nil
	}
	m, err := ignore.NewMatcher(f)
	if err != nil {
		return nil
	}
	l := linter{in: in, file: f, matcher: m, lines: strings.Split(strings.TrimPrefix(string(b.Ignore.Text), "\ufeff"), "\n")}
	var list []Suggestion
	for _, line := range f.Lines {
		for _, check := range []func(ignore.Line) (Suggestion, bool){l.comment, l.anyDepth, l.overruled} {
			if s, ok := check(line); ok {
				s.Rule, s.File, s.Proof = "ignore-lint", b.Ignore.Path, Advice
				s.Lines = dockerfile.Lines{From: line.Number, To: line.Number}
				list = append(list, s)
				break
			}
		}
	}
	return list
}

// A linter checks the lines of the ignore file of the first build.
type linter struct {
	in      Input
	file    *ignore.File
	matcher *ignore.Matcher
	lines   []string // of the text, without a byte order mark
}

// change returns the change of the ignore file to these lines.
func (l linter) change(lines []string) []Change {
	old := l.in.Builds[0].Ignore
	text := strings.Join(lines, "\n")
	if strings.HasPrefix(string(old.Text), "\ufeff") {
		text = "\ufeff" + text
	}
	return []Change{{Path: old.Path, Old: old.Text, New: []byte(text)}}
}

// replaced returns the change that puts other lines in place of one, by its number.
func (l linter) replaced(number int, lines ...string) []Change {
	ending := ""
	if strings.HasSuffix(l.lines[number-1], "\r") {
		ending = "\r"
	}
	out := slices.Clone(l.lines[:number-1])
	for _, text := range lines {
		out = append(out, text+ending)
	}
	return l.change(append(out, l.lines[number:]...))
}

// comment tells of a comment behind a pattern, of which it is a part: only a # in the first
// column begins a comment (patternmatcher: ignorefile.ReadAll).
func (l linter) comment(line ignore.Line) (Suggestion, bool) {
	text := strings.TrimRight(l.lines[line.Number-1], "\r")
	at := strings.Index(text, " #")
	if tab := strings.Index(text, "\t#"); at < 0 || tab >= 0 && tab < at {
		at = tab
	}
	if at < 0 || l.matchesSomething(line) {
		return Suggestion{}, false
	}
	pattern, comment := strings.TrimSpace(text[:at]), strings.TrimSpace(text[at:])
	s := Suggestion{
		Title:    "put the comment on a line of its own",
		Evidence: fmt.Sprintf("A # begins a comment in the first column only: `%s` is one long name, and ignores nothing.", strings.TrimSpace(text)),
		Obstacle: "the builds would take less than they do today",
		Changes:  l.replaced(line.Number, comment, pattern),
	}
	if pattern == "" {
		s.Title = "begin the comment in the first column"
		s.Changes, s.Obstacle = l.replaced(line.Number, comment), "the file is yours; the line does nothing today"
	}
	return s, true
}

// matchesSomething reports whether a file of the context has the pattern of a line as its name.
func (l linter) matchesSomething(line ignore.Line) bool {
	return l.in.Builds[0].Context.Exists(strings.TrimPrefix(line.Pattern, "!"))
}

// anyDepth tells of a name without a slash, which in a .gitignore means a file at any depth,
// but here only the one at the root, and of which there are others further down.
func (l linter) anyDepth(line ignore.Line) (Suggestion, bool) {
	p := line.Pattern
	written := strings.TrimSpace(strings.TrimRight(l.lines[line.Number-1], "\r"))
	placed := strings.HasPrefix(written, "/") || strings.HasPrefix(written, "./") || strings.ContainsAny(p, "/\\") || strings.HasPrefix(p, "**")
	if placed || strings.HasPrefix(p, "!") || !anywhere(p) {
		return Suggestion{}, false
	}
	b := l.in.Builds[0]
	found, n := "", 0 // the first of the files, and how many there are
	for name := range b.Context.Files() {
		dir := path.Dir(name)
		if dir == "." {
			continue // that is the one which the line means
		}
		ok, err := path.Match(p, path.Base(name))
		if matched := err == nil && ok || matchesFolder(p, dir); !matched || !l.in.taken(b, name) {
			continue
		}
		if l.in.asksFor(name) {
			return Suggestion{}, false // the build would fail
		}
		if n++; found == "" {
			found = name
		}
	}
	if n == 0 {
		return Suggestion{}, false
	}
	return Suggestion{
		Title:    fmt.Sprintf("write **/%s to ignore it at any depth", p),
		Evidence: fmt.Sprintf("`%s` means the one at the root of the context: %s stays in it%s.", written, found, others(n-1)),
		Obstacle: "whether those are meant as well is yours to say; the builds would take less than they do today",
		Changes:  l.replaced(line.Number, "**/"+p),
	}, true
}

// taken reports whether a step of a build takes a file.
func (in Input) taken(b Build, name string) bool {
	needed := reachable(in.File, b.Target)
	return slices.ContainsFunc(in.File.Stages, func(st dockerfile.Stage) bool {
		return needed[st.Index] && slices.ContainsFunc(st.Instructions, func(ins dockerfile.Instruction) bool {
			return ins.Copy != nil && b.Context.Takes(ins.Lines.From, name)
		})
	})
}

// asksFor reports whether an instruction names a file of the context by its full path.
func (in Input) asksFor(name string) bool {
	return slices.ContainsFunc(in.File.Stages, func(st dockerfile.Stage) bool {
		return slices.ContainsFunc(st.Instructions, func(ins dockerfile.Instruction) bool {
			return ins.Copy != nil && ins.Copy.From == "" && slices.ContainsFunc(ins.Copy.Sources, func(s string) bool { return path.Clean("/"+s) == "/"+name })
		})
	})
}

// partOfPrograms returns the extensions of files with source code, settings and resources. At the
// root of a project such files may belong to its tools, but further down they are the project.
func partOfPrograms() []string {
	return []string{
		".bash", ".c", ".cfg", ".cjs", ".conf", ".cpp", ".cs", ".css", ".ex", ".exs", ".go", ".h", ".html", ".ico", ".ini", ".java", ".jpg", ".js",
		".json", ".jsx", ".kt", ".lock", ".mjs", ".php", ".png", ".properties", ".py", ".rb", ".rs", ".scss", ".sh", ".sql", ".svg", ".swift",
		".toml", ".ts", ".tsx", ".txt", ".vue", ".xml", ".yaml", ".yml",
	}
}

// anywhere reports whether a pattern is likely to be meant at any depth: it names what tools make
// wherever they run, or it is an extension.
func anywhere(pattern string) bool {
	switch pattern {
	case "node_modules", "__pycache__", ".DS_Store", "Thumbs.db", ".venv", "venv", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".tox", "coverage",
		".next", ".nuxt", ".turbo", ".parcel-cache", ".gradle", ".terraform", ".idea", ".vscode":
		return true
	}
	if slices.Contains(partOfPrograms(), strings.TrimPrefix(pattern, "*")) {
		return false
	}
	return strings.HasPrefix(pattern, "*.") || strings.HasPrefix(pattern, ".env")
}

// matchesFolder reports whether the name of a folder, or of one of those above it, matches a
// pattern. Folders at the root of the context do not count.
func matchesFolder(pattern, dir string) bool {
	for ; dir != "." && path.Dir(dir) != "."; dir = path.Dir(dir) {
		if ok, err := path.Match(pattern, path.Base(dir)); err == nil && ok {
			return true
		}
	}
	return false
}

// others returns words for n other files.
func others(n int) string {
	switch n {
	case 0:
		return ""
	case 1:
		return ", and 1 other file"
	}
	return fmt.Sprintf(", and %d other files", n)
}

// overruled tells of an exception without effect, because a later line ignores its file again:
// the last line that matches decides (patternmatcher: MatchesUsingParentResults).
func (l linter) overruled(line ignore.Line) (Suggestion, bool) {
	name, ok := strings.CutPrefix(line.Pattern, "!")
	if !ok || strings.ContainsAny(name, "*?[\\") || name == "" {
		return Suggestion{}, false
	}
	d := l.matcher.Explain(name)
	if !d.Ignored || d.By.Number <= line.Number {
		return Suggestion{}, false
	}
	by := l.lines[d.By.Number-1]
	return Suggestion{
		Title:    fmt.Sprintf("put !%s below the line that ignores it", name),
		Evidence: fmt.Sprintf("The last line that matches decides: `%s` on line %d takes back what `%s` lets in.", strings.TrimSpace(by), d.By.Number, strings.TrimSpace(l.lines[line.Number-1])),
		Obstacle: "the builds would take more than they do today",
		Changes:  l.moved(line.Number, d.By.Number),
	}, true
}

// moved returns the change that moves a line below another one, by their numbers.
func (l linter) moved(from, to int) []Change {
	return l.change(slices.Concat(l.lines[:from-1], l.lines[from:to], l.lines[from-1:from], l.lines[to:]))
}
