package suggest

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/context/ignore"
)

// ignoreLint says where a line of the ignore file cannot mean what was meant.
// See docs/rules/ignore-lint.md.
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
	for i, line := range f.Lines {
		for _, check := range []func(int, ignore.Line) (Suggestion, bool){l.comment, l.anyDepth, l.overruled} {
			if s, ok := check(i, line); ok {
				s.Rule, s.File, s.Proof = "ignore-lint", b.Ignore.Path, Advice
				s.Lines = dockerfile.Lines{From: line.Number, To: line.Number}
				list = append(list, s)
				break
			}
		}
	}
	return list
}

// A linter looks at the lines of one ignore file.
type linter struct {
	in      Input
	file    *ignore.File
	matcher *ignore.Matcher
	lines   []string
}

// replaced is the ignore file with other lines in place of one.
func (l linter) replaced(number int, lines ...string) []Change {
	old := l.in.Builds[0].Ignore
	out := append([]string{}, l.lines[:number-1]...)
	ending := ""
	if strings.HasSuffix(l.lines[number-1], "\r") {
		ending = "\r"
	}
	for _, text := range lines {
		out = append(out, text+ending)
	}
	text := strings.Join(append(out, l.lines[number:]...), "\n")
	if strings.HasPrefix(string(old.Text), "\ufeff") {
		text = "\ufeff" + text
	}
	return []Change{{Path: old.Path, Old: old.Text, New: []byte(text)}}
}

// comment finds a comment behind a pattern: only a # in the first column begins
// one (patternmatcher: ignorefile.ReadAll).
func (l linter) comment(_ int, line ignore.Line) (Suggestion, bool) {
	text := strings.TrimRight(l.lines[line.Number-1], "\r")
	at := strings.Index(text, " #")
	if tab := strings.Index(text, "\t#"); at < 0 || tab >= 0 && tab < at {
		at = tab
	}
	pattern := ""
	if at >= 0 {
		pattern = strings.TrimSpace(text[:at])
	}
	if at < 0 || l.matchesSomething(line) {
		return Suggestion{}, false
	}
	comment := strings.TrimSpace(text[at:])
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

// matchesSomething reports a pattern that a file of the context bears as its
// name, odd as it is.
func (l linter) matchesSomething(line ignore.Line) bool {
	return l.in.Builds[0].Context.Exists(strings.TrimPrefix(line.Pattern, "!"))
}

// anyDepth finds gitignore's habit: a name without a slash means one at the
// root here, and there are others further down.
func (l linter) anyDepth(_ int, line ignore.Line) (Suggestion, bool) {
	p := line.Pattern
	written := strings.TrimSpace(strings.TrimRight(l.lines[line.Number-1], "\r"))
	if strings.HasPrefix(p, "!") || strings.HasPrefix(written, "/") || strings.HasPrefix(written, "./") || strings.ContainsAny(p, "/\\") || strings.HasPrefix(p, "**") || !anywhere(p) {
		return Suggestion{}, false
	}
	b := l.in.Builds[0]
	found, n := "", 0
	for name := range b.Context.Files() {
		if dir := path.Dir(name); dir == "." {
			continue // the line is about that one
		} else if ok, err := path.Match(p, path.Base(name)); (err == nil && ok || matchesFolder(p, dir)) && l.in.taken(b, name) {
			if l.in.asksFor(name) {
				return Suggestion{}, false // the build would fail
			}
			if n++; found == "" {
				found = name
			}
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

// taken reports a file that a step of the build takes.
func (in Input) taken(b Build, name string) bool {
	needed := reachable(in.File, b.Target)
	return slices.ContainsFunc(in.File.Stages, func(st dockerfile.Stage) bool {
		return needed[st.Index] && slices.ContainsFunc(st.Instructions, func(ins dockerfile.Instruction) bool {
			return ins.Copy != nil && b.Context.Takes(ins.Lines.From, name)
		})
	})
}

// asksFor reports a file that an instruction takes by its full name.
func (in Input) asksFor(name string) bool {
	return slices.ContainsFunc(in.File.Stages, func(st dockerfile.Stage) bool {
		return slices.ContainsFunc(st.Instructions, func(ins dockerfile.Instruction) bool {
			return ins.Copy != nil && ins.Copy.From == "" && slices.ContainsFunc(ins.Copy.Sources, func(s string) bool { return path.Clean("/"+s) == "/"+name })
		})
	})
}

// partOfPrograms are endings of files that programs are made of and set up with: at the
// root of a project they belong to its tools, and further down to what it is.
func partOfPrograms() []string {
	return []string{
		".bash", ".c", ".cfg", ".cjs", ".conf", ".cpp", ".cs", ".css", ".ex", ".exs", ".go", ".h", ".html", ".ico", ".ini", ".java", ".jpg", ".js",
		".json", ".jsx", ".kt", ".lock", ".mjs", ".php", ".png", ".properties", ".py", ".rb", ".rs", ".scss", ".sh", ".sql", ".svg", ".swift",
		".toml", ".ts", ".tsx", ".txt", ".vue", ".xml", ".yaml", ".yml",
	}
}

// anywhere reports a name that is known to occur at any depth: what tools make
// in each project, and patterns by ending.
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

// matchesFolder reports whether a folder below the first level, or one that
// holds it, matches.
func matchesFolder(pattern, dir string) bool {
	for ; dir != "." && path.Dir(dir) != "."; dir = path.Dir(dir) {
		if ok, err := path.Match(pattern, path.Base(dir)); err == nil && ok {
			return true
		}
	}
	return false
}

func others(n int) string {
	switch n {
	case 0:
		return ""
	case 1:
		return ", and 1 other file"
	}
	return fmt.Sprintf(", and %d other files", n)
}

// overruled finds an exception that a later line takes back: the last line that
// matches decides (patternmatcher: MatchesUsingParentResults).
func (l linter) overruled(_ int, line ignore.Line) (Suggestion, bool) {
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

// moved is the ignore file with a line moved below another one.
func (l linter) moved(from, to int) []Change {
	old := l.in.Builds[0].Ignore
	out := append([]string{}, l.lines[:from-1]...)
	out = append(out, l.lines[from:to]...)
	out = append(out, l.lines[from-1])
	out = append(out, l.lines[to:]...)
	text := strings.Join(out, "\n")
	if strings.HasPrefix(string(old.Text), "\ufeff") {
		text = "\ufeff" + text
	}
	return []Change{{Path: old.Path, Old: old.Text, New: []byte(text)}}
}
