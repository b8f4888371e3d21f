package discover

import (
	"encoding/json"
	"iter"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	buildctx "github.com/stokerd/stoker/context"
)

// inferContext guesses the context of a Dockerfile, which does not name it. It is the
// nearest directory, from its own up to the root, with everything that the Dockerfile needs
// from its context. If none has that, because some of it is generated before a build, it is
// the nearest with most of it.
func (f *finder) inferContext(rel, text string) string {
	dir := path.Dir(rel)
	needs := needsOf(text)
	most, best := -1, dir
	for at := dir; ; at = path.Dir(at) {
		met := 0
		for _, n := range needs {
			if f.first(at, n) != "" || at == dir && n.below && f.firstBelow(at, n) {
				met++
			}
		}
		if met > most {
			most, best = met, at
		}
		if most == len(needs) || at == "." { // without needs that is its own directory
			break
		}
	}
	if best != dir {
		only := f.deciding(needs, dir, best)
		f.note(rel, only.line, "context is taken to be "+shownDir(best)+", because "+strconv.Quote(f.first(best, only))+" is there and not in "+dir)
	} else if i := slices.IndexFunc(needs, func(n need) bool { return n.below && f.first(dir, n) == "" && !f.firstBelow(dir, n) }); i >= 0 && dir != "." {
		// Of the source of a COPY that is missing there is a finding, and at the root nothing is guessed.
		f.note(rel, needs[i].line, "context is taken to be "+shownDir(dir)+", though "+strconv.Quote(needs[i].names[0])+" is neither there nor above")
	}
	return filepath.Join(f.root, filepath.FromSlash(best))
}

// deciding returns a need, for the explanation, that best meets and dir does not: one that
// no directory between the two meets either, if there is such.
func (f *finder) deciding(needs []need, dir, best string) need {
	var found []need
	for _, n := range needs {
		if f.first(dir, n) == "" && f.first(best, n) != "" {
			found = append(found, n)
		}
	}
	for _, n := range found {
		at := dir
		for at != best && f.first(at, n) == "" {
			at = path.Dir(at)
		}
		if at == best {
			return n
		}
	}
	return found[0]
}

// shownDir names a directory of the repository in a sentence.
func shownDir(rel string) string {
	if rel == "." {
		return "the repository's root"
	}
	return rel
}

// A need is something that a Dockerfile expects in its context.
type need struct {
	names []string // one of these has to be there; they may contain wildcards
	line  int      // of the Dockerfile
	// below says that, in the directory of the Dockerfile, it may also be in a folder
	// below: the command may be run there.
	below bool
}

// firstBelow reports whether a folder in dir meets n.
func (f *finder) firstBelow(dir string, n need) bool {
	return slices.ContainsFunc(n.names, func(name string) bool {
		return f.first(dir, need{names: []string{"*/" + name}}) != ""
	})
}

// first returns the first name of n that dir has, or "".
func (f *finder) first(dir string, n need) string {
	base := escapeGlob(filepath.Join(f.root, filepath.FromSlash(dir)))
	for _, name := range n.names {
		// Joined to "/" so that ".." cannot leave the context, as in a COPY.
		pattern := filepath.Join(base, filepath.FromSlash(path.Join("/", name)))
		met, asked := f.lookups[pattern]
		if !asked {
			met = matches(pattern)
			f.lookups[pattern] = met
		}
		if met {
			return name
		}
	}
	return ""
}

// A lookup is a question that a context was inferred by: whether some file matches.
type lookup struct {
	pattern string // absolute
	met     bool   // the answer
}

// matches reports whether some file matches an absolute pattern.
func matches(pattern string) bool {
	found, err := filepath.Glob(pattern)
	return err == nil && len(found) > 0
}

// Outdated reports whether an inferred context may be another one now, given the entries of
// the repository that appeared, went or changed; nil stands for any number. The file system
// is asked only about patterns that they may match.
func (r Result) Outdated(changed iter.Seq[buildctx.Entry]) bool {
	if len(r.lookups) == 0 {
		return false
	}
	anywhere, names := changed == nil, map[string]bool{}
	if !anywhere {
		for e := range changed {
			names[path.Base(e.Path)] = true
			anywhere = anywhere || e.Link != "" // any pattern may lead through it
		}
	}
	return slices.ContainsFunc(r.lookups, func(l lookup) bool {
		return (anywhere || l.ends(names)) && matches(l.pattern) != l.met
	})
}

// ends reports whether the pattern matches paths that end in one of the names.
func (l lookup) ends(names map[string]bool) bool {
	last := filepath.Base(l.pattern)
	if !strings.ContainsAny(last, `*?[\`) {
		return names[last]
	}
	for name := range names {
		if ok, _ := filepath.Match(last, name); ok {
			return true
		}
	}
	return false
}

// escapeGlob keeps a directory's name from being read as a pattern.
func escapeGlob(name string) string {
	return strings.NewReplacer(`*`, `[*]`, `?`, `[?]`, `[`, `[[]`).Replace(name)
}

// manifest returns the names of which a tool wants one where it is run; nil for
// one that wants none, or that is not known.
func manifest(tool, verb string) []string {
	verbs := func(words ...string) bool { return slices.Contains(words, verb) }
	switch tool {
	case "make":
		return []string{"Makefile", "makefile", "GNUmakefile"}
	case "mvn":
		return []string{"pom.xml"}
	case "gradle", "./gradlew":
		return []string{"build.gradle", "build.gradle.kts", "settings.gradle", "settings.gradle.kts"}
	}
	switch {
	case tool == "go" && verbs("build", "mod", "test", "generate"):
		return []string{"go.mod", "go.work"}
	case tool == "bun" && verbs("install"), tool != "bun" && slices.Contains(nodeManagers, tool) && verbs("ci", "install", "run", "build"):
		return []string{"package.json"}
	case tool == "turbo" && verbs("prune", "run", "build"):
		return []string{"turbo.json", "turbo.jsonc"}
	case tool == "cargo" && verbs("build", "fetch", "test"):
		return []string{"Cargo.toml"}
	case tool == "dotnet" && verbs("restore", "build", "publish"):
		return []string{"*.sln", "*.slnx", "*.csproj"}
	case tool == "poetry" && verbs("install"), tool == "uv" && verbs("sync"), tool == "pdm" && verbs("install", "sync"):
		return []string{"pyproject.toml"}
	case tool == "bundle" && verbs("install"):
		return []string{"Gemfile"}
	case tool == "composer" && verbs("install"):
		return []string{"composer.json"}
	case tool == "mix" && verbs("deps.get", "compile", "release"):
		return []string{"mix.exs"}
	}
	return nil
}

// nodeManagers are the package managers of Node.js.
var nodeManagers = []string{"npm", "yarn", "pnpm", "bun"}

// global reports whether a command installs programs for the whole image, and so wants nothing of
// the project.
func global(words []string) bool {
	return slices.Contains(nodeManagers, words[0]) && slices.ContainsFunc(words[1:], func(w string) bool {
		return w == "-g" || w == "--global" || w == "--location=global" || w == "global"
	})
}

// lockFiles returns the lock files of which a tool needs one when its flags forbid it to
// change what is locked; nil otherwise. In a repository of several packages only the root
// has a lock file, so that it tells where the context is.
func lockFiles(tool string, args []string) []string {
	told := func(words ...string) bool {
		return slices.ContainsFunc(args, func(a string) bool { return slices.Contains(words, a) })
	}
	frozen := told("--frozen-lockfile", "--immutable")
	switch {
	case tool == "npm" && told("ci", "clean-install"):
		return []string{"package-lock.json", "npm-shrinkwrap.json"}
	case tool == "yarn" && frozen:
		return []string{"yarn.lock"}
	case tool == "pnpm" && frozen:
		return []string{"pnpm-lock.yaml"}
	case tool == "bun" && frozen:
		return []string{"bun.lock", "bun.lockb"}
	case tool == "cargo" && told("--locked", "--frozen"):
		return []string{"Cargo.lock"}
	case tool == "uv" && told("--locked", "--frozen"):
		return []string{"uv.lock"}
	}
	return nil
}

// needsOf returns the needs of a Dockerfile: the sources of COPY, ADD and bind mounts and,
// if one of them takes the whole context, the manifests of the tools that are run. It does
// not parse the language, only lines: that is enough for a guess, and the plan of the
// definition is made by BuildKit's own parser.
func needsOf(text string) []need {
	var sources, tools []need
	whole := false
	defaults := map[string]string{} // of the ARGs so far
	take := func(source string, line int) {
		if path.Join("/", source) == "/" {
			whole = true
		} else {
			sources = append(sources, need{names: []string{source}, line: line})
		}
	}
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
		switch strings.ToUpper(word) {
		case "ARG":
			for arg := range strings.FieldsSeq(rest) {
				if name, value, ok := strings.Cut(arg, "="); ok && !strings.Contains(value, "$") {
					defaults[name] = strings.Trim(value, `"'`)
				}
			}
		case "COPY", "ADD":
			for _, arg := range copyArgs(withDefaults(rest, defaults)) {
				take(arg, start)
			}
		case "RUN":
			for _, source := range bindSources(rest) {
				take(source, start)
			}
			tools = append(tools, toolNeeds(rest, start)...)
		}
	}
	if whole {
		return append(sources, tools...)
	}
	return sources
}

// variable matches a reference to a variable, without a default of its own.
var variable = regexp.MustCompile(`\$(?:\{(\w+)\}|(\w+))`)

// withDefaults replaces the variables in a text by the defaults of the ARGs, where there is one.
func withDefaults(text string, defaults map[string]string) string {
	return variable.ReplaceAllStringFunc(text, func(ref string) string {
		if value, ok := defaults[strings.Trim(ref, "${}")]; ok {
			return value
		}
		return ref
	})
}

// toolNeeds returns the manifests and lock files that the commands of a RUN need.
func toolNeeds(script string, line int) []need {
	var needs []need
	for _, words := range commandsOf(script) {
		if global(words) {
			continue
		}
		verb := ""
		if i := slices.IndexFunc(words[1:], func(w string) bool { return !strings.HasPrefix(w, "-") }); i >= 0 {
			verb = words[1:][i]
		}
		if verb == "" && words[0] == "yarn" {
			verb = "install"
		}
		for _, names := range [][]string{manifest(words[0], verb), lockFiles(words[0], words[1:])} {
			if names != nil {
				needs = append(needs, need{names, line, true})
			}
		}
	}
	return needs
}

// commandsOf splits a script into commands, each without leading flags (of RUN) and
// assignments.
func commandsOf(script string) [][]string {
	var list [][]string
	for word := range strings.FieldsSeq("&& " + script) {
		if word == "&&" || word == "||" || word == "|" {
			list = append(list, nil)
			continue
		}
		last := &list[len(list)-1]
		bare := strings.TrimSuffix(word, ";")
		if bare != "" && (len(*last) > 0 || !strings.HasPrefix(word, "-") && !strings.Contains(word, "=")) {
			*last = append(*last, bare)
		}
		if bare != word {
			list = append(list, nil)
		}
	}
	return slices.DeleteFunc(list, func(words []string) bool { return len(words) == 0 })
}

// bindSources returns the sources of the bind mounts of a RUN, without those from another
// stage and those with a variable.
func bindSources(rest string) []string {
	var sources []string
	for word := range strings.FieldsSeq(rest) {
		if !strings.HasPrefix(word, "--") {
			break
		}
		options, ok := strings.CutPrefix(word, "--mount=")
		if !ok || strings.Contains(options, "$") {
			continue
		}
		source, kind, from := ".", "bind", ""
		for option := range strings.SplitSeq(options, ",") {
			switch key, value, _ := strings.Cut(option, "="); key {
			case "type":
				kind = value
			case "source", "src":
				source = value
			case "from":
				from = value
			}
		}
		if kind == "bind" && from == "" {
			sources = append(sources, source)
		}
	}
	return sources
}

// copyArgs returns the sources, in the context, of a COPY or ADD, given what follows the
// keyword: none if it copies from another stage or a heredoc, and neither URLs nor paths
// with a variable.
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
		return strings.Contains(word, "$") || strings.Contains(word, "://") || strings.HasPrefix(word, "git@")
	})
}
