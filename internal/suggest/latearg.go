package suggest

import (
	"cmp"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
)

// lateArg proposes to declare a variable whose value differs between builds further
// down, below the steps that do not need it. Its value is part of the cache key of every
// RUN below its declaration, whether that uses it or not (BuildKit:
// dockerfile2llb.dispatchArg). See docs/rules/late-arg.md.
func lateArg(in Input) []Suggestion {
	var list []Suggestion
	for _, st := range in.File.Stages {
		if !reachable(in.File, in.Builds[0].Target)[st.Index] || triggers(in.File, st) {
			continue
		}
		v := in.bare(st)
		for i := 0; i < len(st.Instructions); i++ {
			why, last := in.changing(st, i)
			if why == "" {
				continue
			}
			handed, ok := handDownOf(v, i, last, in, why)
			if ok {
				list = append(list, handed)
			}
			d := descend(v, i, last, in, false)
			if apart := descend(v, i, last, in, true); len(apart.passed) > len(d.passed) {
				d = apart
			}
			if len(d.passed) > 0 && !(ok && handed.Proof == ByConstruction) {
				if s, ok := d.suggestion(in, why); ok {
					list = append(list, s)
				}
			}
			i = last
		}
	}
	return list
}

// changing looks at the consecutive ARGs from instruction i on. It returns why their
// values differ between builds, "" if they do not, and the index of the last that does.
func (in Input) changing(st dockerfile.Stage, i int) (why string, last int) {
	last = i - 1
	for k := i; k < len(st.Instructions) && st.Instructions[k].Keyword == "ARG"; k++ {
		one := ""
		for _, a := range st.Instructions[k].Vars {
			one = cmp.Or(one, in.differs(a))
		}
		if one == "" || slices.ContainsFunc(st.Instructions[k].Names, readByTools) {
			break
		}
		why, last = cmp.Or(why, one), k
	}
	return why, last
}

// A descent moves ARGs, with the instructions that depend on them, down a stage.
type descent struct {
	carried       // the ARGs and what is moved with them
	before  int   // the instruction that they are put above; may be one past the last
	passed  []int // RUNs whose key would no longer contain the variables
}

// descend moves the ARGs from first to last down to the first instruction that may need
// them. apart says that an ENV may be split.
func descend(v *stageView, first, last int, in Input, apart bool) descent {
	d := descent{carried: carried{view: v}, before: last + 1}
	var names []string
	for k := first; k <= last; k++ {
		d.group = append(d.group, k)
		names = append(names, v.stage.Instructions[k].Names...)
	}
	env := false
	for k := last + 1; k < len(v.stage.Instructions); k++ {
		ins := v.stage.Instructions[k]
		used := mentions(v.file.Source(ins.Lines), names)
		// An image lists variables in the order of their ENVs: once one is moved, all
		// below it have to be.
		along := ins.Keyword == "ENV" && env
		switch {
		case ins.Keyword == "ONBUILD", !used && !along && d.uses(ins.Names):
			return d.settled()
		case !used && ins.Run != nil && !blindTo(v, k, in, names, d.nameBuild(in)):
			return d.settled()
		case !used && ins.Run != nil:
			d.passed = append(d.passed, k)
			d.before = k + 1
		case !used && !along, ins.Command != nil:
		case ins.Keyword == "ARG" || ins.Keyword == "ENV" || ins.Keyword == "LABEL":
			d.add(k, names, apart && !env)
			if slices.ContainsFunc(d.namesOf(k), readByTools) {
				d.group = d.group[:len(d.group)-1]
				return d.settled()
			}
			env = env || ins.Keyword == "ENV"
			names = append(names, d.namesOf(k)...)
		default:
			d.before = k
			return d.settled()
		}
	}
	return d.settled()
}

// settled leaves what hangs on the variables, and stands below the last step
// that is passed, where it is: the rest goes right above it.
func (d descent) settled() descent {
	if len(d.passed) == 0 {
		return d
	}
	last := d.passed[len(d.passed)-1]
	if i := slices.IndexFunc(d.group, func(k int) bool { return k > last }); i >= 0 {
		d.before, d.group = d.group[i], d.group[:i]
	}
	return d
}

// nameBuild reports whether all variables of the group say which build it is: what a
// package compiles or fetches when it is installed does not hang on them.
func (d descent) nameBuild(in Input) bool {
	return !slices.ContainsFunc(d.group, func(i int) bool {
		ins := d.view.stage.Instructions[i]
		return ins.Keyword != "LABEL" && slices.ContainsFunc(d.namesOf(i), func(name string) bool { return !in.mayNameBuild(name) })
	})
}

// mayNameBuild reports whether the name of a variable suggests that it identifies the build.
func (in Input) mayNameBuild(name string) bool {
	return identity.MatchString(name) || dated.MatchString(name) || strings.HasSuffix(strings.ToUpper(name), "VERSION") || in.labels(name)
}

// blindTo reports whether instruction k, a RUN, is known to read none of the variables. others
// says that scripts of packages, which an install may run, and other known commands read none
// either.
func blindTo(v *stageView, k int, in Input, names []string, others bool) bool {
	run := v.stage.Instructions[k].Run
	commands, ok := everyCommand(run, v.shell[k])
	if !ok || !alone(v.shell[k]) || readsNames.MatchString(run.Given) {
		return false
	}
	for _, c := range commands {
		if inst, ok := recognise(c, v.dirs[k]); ok {
			if !others && inst.tool != "go" {
				return false
			}
			// The project's own scripts may run in an install, and read anything.
			m := &move{in: in, view: v, last: k}
			for _, b := range in.Builds {
				files, obstacle := m.reads(b, k, []install{inst})
				if obstacle != "" || slices.ContainsFunc(files, func(f string) bool { return expands(f) && mentions(string(m.reader(b, inst).file(f)), names) }) {
					return false
				}
			}
			continue
		}
		if listsVariables(c) {
			return false
		}
		if runsOthers := slices.Contains(c.words, "-exec") || slices.Contains(c.words, "-execdir"); runsOthers ||
			!slices.Contains(blindCommands(), c.words[0]) && !(others && isFree(c)) {
			return false
		}
	}
	return true
}

// readsNames matches what may read variables that it does not name as a whole: "${!NAME}" has the
// shell look for a name in another variable, and /proc has a file of those of a process.
var readsNames = regexp.MustCompile(`\$\{!|/environ\b`)

// listsVariables reports whether a command prints all variables. An export with a name in it is none
// of those of everyCommand.
func listsVariables(c command) bool {
	return c.starts("export") || c.starts("set") && len(c.words) == 1
}

// expands reports whether variables may be expanded in a manifest: in pure data they are
// not.
func expands(name string) bool {
	return !slices.Contains([]string{".json", ".lock", ".sum", ".mod"}, path.Ext(name))
}

// blindCommands returns commands that ignore all variables but those of readByTools.
func blindCommands() []string {
	return []string{
		"apk", "apt", "apt-get", "dpkg", "dnf", "microdnf", "yum", "rpm", "zypper", "apt-key", "add-apt-repository",
		"addgroup", "adduser", "groupadd", "useradd", "usermod", "chpasswd", "passwd",
		"base64", "basename", "bzip2", "cat", "cd", "chgrp", "chmod", "chown", "cp", "curl", "cut", "date", "dirname", "echo", "exit",
		"false", "find", "grep", "gpg", "gunzip", "gzip", "head", "id", "install", "jar", "ldconfig", "ln", "locale-gen", "ls", "md5sum",
		"mkdir", "mktemp", "mv", "printf", "pwd", "readlink", "realpath", "rm", "rmdir", "sed", "set", "sha1sum", "sha256sum",
		"sha512sum", "sleep", "sort", "stat", "tail", "tar", "tee", "test", "[", "touch", "tr", "true", "uname", "uniq", "unzip",
		"update-ca-certificates", "wc", "wget", "which", "xz", ":", "export",
	}
}

// toolVariables matches variables that package managers, compilers, downloads
// or the shell itself act on.
var toolVariables = regexp.MustCompile(`(?i)^(npm|node|yarn|pnpm|bun|corepack|pip|pythons?|uv|poetry|pipenv|go|cgo|cargo|rust|mvn|maven|gradle|java|jdk|` +
	`composer|bundle|gem|ruby|dotnet|nuget|deb|apt|apk|dnf|yum|ssl|curl|wget|ld|lc|xdg|tar|gpg|dpkg)(_|[A-Z]*$)|` +
	`^(DEB|PYTHON|JAVA|BUNDLE)[A-Z]+|^(GO|RUST)[A-Z0-9]+$|^(GOLANG|GOROOT|GOTOOLCHAIN|RUSTC|RUSTDOC|RUSTUP)_|^(LANG|LANGUAGE|TZ|HOME|PATH|USER|SHELL|TERM|IFS|PWD|CI|CC|CXX|AR|COLUMNS|UMASK|SOURCE_DATE_EPOCH)$|` +
	`^(SETUPTOOLS|PBR|HATCH|PDM|FLIT|VERSIONEER|DUNAMAI|VCS_VERSIONING|MESON|CMAKE|SKBUILD|MIX|HEX)_|` + // what builds packages takes versions from them
	`FLAGS$|_proxy$|^(TARGET|BUILD)(PLATFORM|OS|ARCH|VARIANT)$`)

func readByTools(name string) bool { return toolVariables.MatchString(name) }

// Variables that name the build: identity by their name alone, version and dated if they
// have no default or a placeholder for one.
var (
	identity = regexp.MustCompile(`(?i)(^|_)(COMMIT|GIT_?SHA|VCS_REF|GIT_REF|GIT_REV|REVISION|BUILD_?(DATE|TIME|TIMESTAMP|NUMBER|NUM|ID|NO|SHA|REF)|` +
		`COMMIT_?(SHA|HASH|ID|REF|DATE|TIME|TIMESTAMP|TAGS?)|GIT_?(TAG|BRANCH|DESCRIBE|DATE)|SHORT_SHA|CACHE_?BUST(ER)?)$|^(SHA|GIT_?HASH|GITHASH|GITCOMMIT)$`)
	version     = regexp.MustCompile(`(?i)^((APP|BUILD|RELEASE|IMAGE|GIT|PROJECT|PACKAGE)_?)?VERSION$`)
	placeholder = regexp.MustCompile(`(?i)^["']?(dev|devel|develop|development|local|latest|unknown|none|head|main|master|snapshot|edge|0\.0\.0.*|n/a)?["']?$`)
	// A date may also select what is fetched, and then has a real default.
	dated = regexp.MustCompile(`(?i)(^|_)(CREATED(_?(AT|ON|DATE|TIME))?|TIMESTAMP)$|^(IMAGE_?|BUILD_?)?(DATE|DATETIME)$`)
	// unreleased matches values that are never versions of other people's programs.
	unreleased = regexp.MustCompile(`(?i)^["']?(dev|devel|develop|development|snapshot|nightly|canary|0\.0\.0([-+].*)?)["']?$`)
)

// namesBuild reports whether a variable names the build, so that each build has another
// value. The version of something that is fetched, like NODE_VERSION, does not.
func (in Input) namesBuild(a dockerfile.Variable) bool {
	return identity.MatchString(a.Name) && !in.pins(a) || version.MatchString(a.Name) && placeholder.MatchString(a.Value) ||
		strings.HasSuffix(strings.ToUpper(a.Name), "VERSION") && unreleased.MatchString(a.Value) ||
		in.passing(a) && (dated.MatchString(a.Name) || in.labels(a.Name))
}

// writtenCommit matches a commit's name. Digits alone are a number or a date.
var writtenCommit = regexp.MustCompile(`^["']?[0-9]*[a-f][0-9a-f]*["']?$`)

// leastCommit is the length of the shortest name of a commit that git itself writes.
const leastCommit = 7

// pins reports whether the default of an ARG, in the stage or above the first FROM, is a commit
// written out, and no build gives another value. It is one that is fetched: a file cannot hold the
// name of the commit that it is part of.
func (in Input) pins(a dockerfile.Variable) bool {
	value := a.Value
	for _, g := range in.File.Globals {
		for _, v := range g.Vars {
			if v.Name == a.Name && !a.Set {
				value = v.Value
			}
		}
	}
	given := slices.ContainsFunc(in.Builds, func(b Build) bool { _, ok := b.Args[a.Name]; return ok })
	return !given && len(strings.Trim(value, `"'`)) >= leastCommit && writtenCommit.MatchString(value)
}

// passing reports whether an ARG has no real default, neither in the stage nor above the
// first FROM.
func (in Input) passing(a dockerfile.Variable) bool {
	return placeholder.MatchString(a.Value) && (a.Set || !slices.ContainsFunc(in.File.Globals, func(g dockerfile.Instruction) bool {
		return slices.ContainsFunc(g.Vars, func(v dockerfile.Variable) bool { return v.Name == a.Name && !placeholder.MatchString(v.Value) })
	}))
}

// identifying matches a label that names the build of an image, with the variable that is
// its value.
var identifying = regexp.MustCompile(`\borg\.opencontainers\.image\.(created|revision|version)["']?[= ]["']?\$(?:\{(\w+)(?::?-[^}]*)?\}|(\w+))["']?(?:\s|$)`)

// labels reports whether a variable is the value of such a label. A version that a RUN
// mentions too does not count: it is the version of what the RUN fetches.
func (in Input) labels(name string) bool {
	found, version := false, false
	for _, st := range in.File.Stages {
		for _, ins := range st.Instructions {
			if ins.Keyword != "LABEL" {
				continue
			}
			for _, m := range identifying.FindAllStringSubmatch(ins.Text, -1) {
				if m[2] == name || m[3] == name {
					found, version = true, version || m[1] == "version"
				}
			}
		}
	}
	return found && !(version && in.named(name))
}

// named reports whether a RUN mentions a variable.
func (in Input) named(name string) bool {
	return slices.ContainsFunc(in.File.Stages, func(st dockerfile.Stage) bool {
		return slices.ContainsFunc(st.Instructions, func(ins dockerfile.Instruction) bool {
			return ins.Run != nil && mentions(in.File.Source(ins.Lines), []string{name})
		})
	})
}

// differs says why the value of a variable differs between builds, or returns "" if
// nothing says that it does.
func (in Input) differs(a dockerfile.Variable) string {
	for _, b := range in.Builds[1:] {
		first, given := in.Builds[0].Args[a.Name]
		if value, other := b.Args[a.Name]; other != given || value != first {
			return fmt.Sprintf("The builds %s and %s give %s different values", in.Builds[0].Name, b.Name, a.Name)
		}
	}
	if in.namesBuild(a) {
		return a.Name + " names the build, and differs from one to the next"
	}
	return ""
}

// suggestion returns the suggestion to make the move, or false if it is not allowed or
// saves too little. why says what makes the variables differ between builds.
func (d descent) suggestion(in Input, why string) (Suggestion, bool) {
	ins := d.view.stage.Instructions
	price := in.pricer()
	var steps []string
	total := 0.0
	for _, k := range d.passed {
		steps = append(steps, "`"+short(ins[k].Text)+"`")
		total += price.cost(ins[k])
	}
	if total < leastFelt {
		return Suggestion{}, false
	}
	var names, volatile []string
	for _, i := range d.group {
		if ins[i].Keyword == "ARG" {
			names = append(names, ins[i].Names...)
			for _, a := range ins[i].Vars {
				if in.namesBuild(a) {
					volatile = append(volatile, a.Name)
				}
			}
		}
	}
	change, err := rewrite(in, d.parts(), append(d.leave(), d.insert(d.view.stage, d.before))...)
	if err != nil || !d.narrows(in, change.New) {
		return Suggestion{}, false
	}
	s := Suggestion{
		Rule: "late-arg", Title: "declare " + list(names, "and") + " just before the first use",
		Lines: ins[d.group[0]].Lines, Proof: ByConstruction, Costs: price.source(), Changes: []Change{change},
		Evidence: fmt.Sprintf("%s: a build with another value repeats %s, about %.0f s, which %s.", why, list(steps, "and"), max(total, 1), uses(len(steps))),
	}
	if others := d.staying(in); len(others) > 0 {
		s.Evidence += " " + list(others, "and") + " above it " + repeats(len(others)) + " the same."
		return s, true // alone it saves nothing, but each of them has to be moved
	}
	if len(volatile) > 0 {
		in.price(&s, variant{declared: true}, variant{text: change.New, declared: true})
		b := in.Builds[0]
		if priced := b.Convert != nil && b.Takers != nil && in.Commits.Len() > 0; priced && s.SavesSeconds < leastFelt {
			return s, false // what it would no longer repeat is mostly repeated for other reasons
		}
	}
	return s, true
}

// staying returns the other ARGs that name the build and would still stand above the
// passed RUNs.
func (d descent) staying(in Input) []string {
	var names []string
	for _, ins := range instructionsOf(in.File, d.view.stage.Index) {
		moved := slices.ContainsFunc(d.group, func(k int) bool { return d.view.stage.Instructions[k].Lines == ins.Lines })
		if ins.Keyword != "ARG" || moved || ins.Lines.From > d.view.stage.Instructions[d.passed[0]].Lines.From {
			continue
		}
		for _, a := range ins.Vars {
			if in.namesBuild(a) && !slices.Contains(names, a.Name) {
				names = append(names, a.Name)
			}
		}
	}
	return names
}

func repeats(n int) string {
	if n == 1 {
		return "does"
	}
	return "do"
}

func uses(n int) string {
	if n == 1 {
		return "does not use it"
	}
	return "do not use it"
}

// narrows reports whether, by BuildKit's frontend, the text gives every build an image
// with the same configuration and the same steps in the same order, of which only RUNs
// below the present declaration have other definitions.
func (d descent) narrows(in Input, text []byte) bool {
	declared := d.view.stage.Instructions[d.group[0]].Lines.From
	for _, b := range in.Builds {
		if b.Convert == nil || b.Plan == nil {
			continue
		}
		before, err := b.Convert(in.File.Text)
		if err != nil {
			continue
		}
		after, err := b.Convert(text)
		if err != nil || len(before.Steps) != len(after.Steps) || !slices.Equal(before.Configs, after.Configs) {
			return false
		}
		for i, old := range before.Steps {
			now := after.Steps[i]
			if old.Name != now.Name || old.Definition != now.Definition && (old.Keyword != "RUN" || old.Lines.From < declared) {
				return false
			}
		}
	}
	return true
}

// mentions reports whether one of the names occurs in the text as a whole word. It may
// find a use where there is none, but misses none.
func mentions(text string, names []string) bool {
	word := func(c byte) bool {
		return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
	}
	for _, name := range names {
		for at := 0; name != ""; {
			i := strings.Index(text[at:], name)
			if i < 0 {
				break
			}
			from, to := at+i, at+i+len(name)
			if (from == 0 || !word(text[from-1])) && (to == len(text) || !word(text[to])) {
				return true
			}
			at = from + 1
		}
	}
	return false
}
