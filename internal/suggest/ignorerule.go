package suggest

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/effects"
)

// ignoreRule proposes lines for the ignore file: for files that no build needs, and that make a
// COPY of the whole context run again in every build. See docs/rules/ignore.md.
func ignoreRule(in Input) []Suggestion {
	b := in.Builds[0]
	if b.Ignore.Path == "" {
		return nil
	}
	copied, ok := in.wholeCopy(b)
	if !ok {
		return nil
	}
	found := slices.DeleteFunc(in.candidates(b), func(c candidate) bool { return !in.everyBuildTakes(c.example) || c.wanted(in.File, b.Context) })
	if len(found) > 0 && b.Ignore.Shared {
		// They are looked up only if they matter: an answer that used them has to be made anew
		// whenever they change.
		sharers := b.Ignore.sharers()
		found = slices.DeleteFunc(found, func(c candidate) bool {
			return len(sharers) == 0 || slices.ContainsFunc(sharers, func(s Sharer) bool { return c.wanted(s.File, s.Context) })
		})
	}
	var lines, why []string
	for _, c := range found {
		lines = append(lines, c.line)
		why = append(why, c.why)
	}
	if len(lines) == 0 {
		return nil
	}
	text, ending := ended(string(b.Ignore.Text))
	for _, line := range lines {
		text += line + ending
	}
	s := Suggestion{
		Rule: "ignore", Title: "ignore " + list(lines, "and"), Lines: copied.Lines, Proof: Advice,
		Evidence: fmt.Sprintf("`%s` takes %s: %s.", short(copied.Text), pronounOf(len(lines)), strings.Join(why, "; ")),
		Obstacle: "the images would be without these files",
		Changes:  []Change{{Path: b.Ignore.Path, Old: b.Ignore.Text, New: []byte(text)}},
	}
	if run := programs(in.File); len(run) > 0 && lines[0] == ".git" {
		s.Obstacle += "; " + list(run, "and") + takenNot(len(run)) + " to read .git"
	}
	in.price(&s, variant{}, variant{ignore: []byte(text)})
	s.spares(in.droppedBytes(b, lines), Transfer, Observed)
	return []Suggestion{s}
}

// takenNot returns the verb for n programs that are not expected to do something.
func takenNot(n int) string {
	if n == 1 {
		return " is taken not"
	}
	return " are taken not"
}

// droppedBytes returns the size of all files that lines of candidates would ignore.
func (in Input) droppedBytes(b Build, lines []string) (total int64) {
	for _, line := range lines {
		name, deep := strings.CutPrefix(line, "**/")
		if !deep {
			total += b.Context.Size(name)
			continue
		}
		for f := range b.Context.Files() {
			if slices.Contains(strings.Split(f, "/"), name) {
				total += b.Context.Size(f)
			}
		}
	}
	return total
}

// wholeCopy returns the first instruction of a build that copies the root of its context.
func (in Input) wholeCopy(b Build) (dockerfile.Instruction, bool) {
	needed := reachable(in.File, b.Target)
	for _, st := range in.File.Stages {
		for _, ins := range st.Instructions {
			if needed[st.Index] && takesContext(ins) && slices.ContainsFunc(ins.Copy.Sources, func(s string) bool { return path.Clean("/"+s) == "/" }) {
				return ins, true
			}
		}
	}
	return dockerfile.Instruction{}, false
}

// everyBuildTakes reports whether each build has a step that takes a file.
func (in Input) everyBuildTakes(name string) bool {
	return !slices.ContainsFunc(in.Builds, func(b Build) bool { return !in.taken(b, name) })
}

// A candidate is a line for the ignore file, for files that hardly any image needs.
type candidate struct {
	line    string
	example string // one of the files
	why     string // why it should be ignored
	// wanted reports whether a Dockerfile may need the files all the same, with a context.
	wanted func(*dockerfile.File, Context) bool
}

// candidates returns the lines for files that are in the context.
func (in Input) candidates(b Build) []candidate {
	var list []candidate
	if b.Context.Exists(".git") {
		list = append(list, candidate{".git", ".git/HEAD", ".git changes with each commit, and so each build copies again", usesGit})
	}
	// Files and folders that tools of a developer leave behind, at any depth.
	droppings := []struct{ name, line, why string }{
		{".DS_Store", "**/.DS_Store", "the Finder writes .DS_Store"},
		{"__pycache__", "**/__pycache__", "Python on this machine writes __pycache__"},
		{".pytest_cache", "**/.pytest_cache", "tests on this machine write .pytest_cache"},
		{".mypy_cache", "**/.mypy_cache", "checks on this machine write .mypy_cache"},
		{".ruff_cache", "**/.ruff_cache", "checks on this machine write .ruff_cache"},
		{".idea", "**/.idea", "an editor writes .idea"},
		{".terraform", "**/.terraform", "terraform writes .terraform"},
	}
	found := map[string]string{}
	for name := range b.Context.Files() {
		for part := range strings.SplitSeq(name, "/") {
			if _, ok := found[part]; !ok && slices.ContainsFunc(droppings, func(d struct{ name, line, why string }) bool { return d.name == part }) {
				found[part] = name
			}
		}
	}
	written := strings.Split(strings.ReplaceAll(string(b.Ignore.Text), "\r\n", "\n"), "\n")
	for _, d := range droppings {
		if in.asks("ignore-lint") && slices.Contains(written, d.name) {
			continue // that rule says what is wrong with the line
		}
		if example, ok := found[d.name]; ok {
			named := func(f *dockerfile.File, _ Context) bool { return strings.Contains(string(f.Text), d.name) }
			list = append(list, candidate{d.line, example, d.why, named})
		}
	}
	return list
}

// usesGit reports whether a step may read the repository: git itself, a tool that takes a version
// from it, a script of the project that does by its package.json, or a command that is not known.
// Only steps that may have .git count.
func usesGit(f *dockerfile.File, context Context) bool {
	if runsScript(f) && scriptsAskGit(context) {
		return true
	}
	has := make([]bool, len(f.Stages)) // whether a stage may end up with .git
	for _, st := range f.Stages {
		v, here := newStageView(f, st), st.BaseStage >= 0 && has[st.BaseStage]
		git := v.installsGit()
		for k, ins := range st.Instructions {
			switch {
			case ins.Copy != nil && ins.Copy.From == "":
				if strings.Contains(ins.Text, ".git") {
					return true
				}
				here = here || slices.ContainsFunc(ins.Copy.Sources, func(s string) bool { return path.Clean("/"+s) == "/" || strings.ContainsAny(s, "*?[$") })
			case ins.Copy != nil:
				from := f.StageOf(ins.Copy.From)
				here = here || from >= 0 && has[from]
			case ins.Run != nil:
				var uses bool
				if here, uses = v.runWithGit(k, here, git); uses {
					return true
				}
			}
		}
		has[st.Index] = here
	}
	return false
}

// runWithGit reports whether instruction k, a RUN, may read .git, and whether that is still there
// after it. here says whether it may be there before, and git whether the stage installs git.
func (v *stageView) runWithGit(k int, here, git bool) (stays, uses bool) {
	run := v.stage.Instructions[k].Run
	mounted := slices.ContainsFunc(run.Mounts, func(m dockerfile.Mount) bool { return m.Type == "bind" || m.Type == "" })
	if !here && !mounted {
		return false, false
	}
	commands, ok := everyCommand(run, v.shell[k])
	if !ok {
		return here, true
	}
	for _, c := range commands {
		if c.removesGit() {
			here = false
		} else if (here || mounted) && (mayReadGit(c) || git && c.ownScript()) {
			return here, true
		}
	}
	return here, false
}

// removesGit reports whether a command deletes .git, so that the image is meant to be without it.
func (c command) removesGit() bool {
	return c.words[0] == "rm" && len(c.asked) == 0 && slices.ContainsFunc(c.words, func(w string) bool { return path.Base(w) == ".git" })
}

// installsGit reports whether the stage installs git itself. If so, scripts of the project that it
// runs are likely to ask git for the commit.
func (v *stageView) installsGit() bool {
	managers := []string{"apk", "apt-get", "apt", "dnf", "yum", "microdnf", "zypper"}
	installs := func(c command) bool {
		return len(c.words) > 2 && slices.Contains(managers, c.words[0]) && slices.Contains(c.words, "git")
	}
	for k, ins := range v.stage.Instructions {
		if ins.Run == nil {
			continue
		}
		if commands, _ := v.everyCommand(k); slices.ContainsFunc(commands, installs) {
			return true
		}
	}
	return false
}

// ownScript reports whether a command has a tool of Node.js run a script of the project. Commands of
// these tools that do something else are known.
func (c command) ownScript() bool {
	if len(c.words) < 2 || !slices.Contains(scriptRunners(), c.words[0]) {
		return false
	}
	_, known := effects.Of(c.words)
	return !known
}

// scriptRunners returns the tools of Node.js that run scripts of a project, and do not read its
// repository themselves.
func scriptRunners() []string {
	return []string{"npm", "yarn", "pnpm", "bun", "node", "next", "vite", "tsc"}
}

// runsScript reports whether a Dockerfile has a tool of Node.js run a script of the project.
func runsScript(f *dockerfile.File) bool {
	for _, st := range f.Stages {
		v := newStageView(f, st)
		for k, ins := range st.Instructions {
			if ins.Run == nil {
				continue
			}
			if commands, _ := v.everyCommand(k); slices.ContainsFunc(commands, command.ownScript) {
				return true
			}
		}
	}
	return false
}

// gitAsked matches what in a package.json says that its scripts read the repository: git itself,
// or a package that finds the commit, some of which need no git for it.
var gitAsked = regexp.MustCompile(`\bgit (?:-C \S+ )?(?:rev-parse|rev-list|describe|log|show)\b|` +
	`"(?:git-rev|git-rev-sync|git-revision-webpack-plugin|git-describe|git-repo-info|git-last-commit|git-commit-info|simple-git|nodegit|vite-plugin-git[\w-]*)"\s*:`)

// scriptsAskGit reports whether a package.json of a context says that its scripts read the repository.
func scriptsAskGit(context Context) bool {
	for name := range context.Files() {
		if path.Base(name) != "package.json" || strings.Contains(name, "node_modules/") {
			continue
		}
		if text, err := context.Read(name); err == nil && gitAsked.Match(text) {
			return true
		}
	}
	return false
}

// ownProgram reports whether a command runs a program of the project itself. Few of these read
// their repository.
func (c command) ownProgram() bool {
	words := c.words
	if len(words) > 2 && words[0] == "bundle" && words[1] == "exec" {
		words = words[2:]
	}
	return slices.Contains([]string{"python", "python3", "php", "rails", "rake", "bin/rails", "./bin/rails", "bin/rake", "./bin/rake", "./manage.py", "manage.py"}, words[0]) &&
		!slices.Contains(words, "-m") && !slices.Contains(words, "setup.py")
}

// programs returns the commands of a Dockerfile that run programs of the project itself.
func programs(f *dockerfile.File) (list []string) {
	for _, st := range f.Stages {
		v := newStageView(f, st)
		for k, ins := range st.Instructions {
			if ins.Run == nil {
				continue
			}
			commands, _ := v.everyCommand(k)
			for _, c := range commands {
				if text := "`" + short(strings.Join(c.words, " ")) + "`"; (c.ownProgram() || c.ownScript()) && !slices.Contains(list, text) {
					list = append(list, text)
				}
			}
		}
	}
	return list
}

// mayReadGit reports whether a command may read the repository. A Go build writes the commit into
// the program, and Python's package managers may take the version of the project from a tag.
func mayReadGit(c command) bool {
	if c.ownProgram() || slices.Contains(c.words, "-buildvcs=false") || c.starts("go", "mod", "download") {
		return false
	}
	if _, ok := pipArgs(c); ok {
		return slices.Contains(c.words, ".") || slices.Contains(c.words, "-e")
	}
	if slices.Contains(scriptRunners(), c.words[0]) {
		return false
	}
	return !slices.Contains(blindCommands(), c.words[0]) && !isFree(c)
}
