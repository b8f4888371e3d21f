package suggest

import (
	"bytes"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/effects"
)

// cacheMount proposes to keep a package manager's downloads in a cache mount,
// so that a step that runs again does not fetch everything again. See
// docs/rules/cache-mount.md.
func cacheMount(in Input) []Suggestion {
	var list []Suggestion
	for _, tool := range effects.Caches() {
		for _, st := range in.File.Stages {
			if !neededByAny(in, st.Index) || !ownUse(in.File, st, tool) || usesTool(in.File, st.BaseStage, tool) {
				continue // nothing to tell, or told with the stage that it starts from
			}
			s, ok := mountFor(in, st, tool)
			if ok && !slices.ContainsFunc(list, func(o Suggestion) bool { return o.Title == s.Title && o.Lines == s.Lines }) {
				list = append(list, s)
			}
		}
	}
	if len(list) == 0 {
		list = goMake(in)
	}
	return list
}

// rootImages are images that are known to run as root, by name.
func rootImages() []string {
	return []string{
		"node", "python", "golang", "rust", "ruby", "php", "composer", "maven", "gradle", "eclipse-temurin", "amazoncorretto", "openjdk",
		"alpine", "debian", "ubuntu", "fedora", "rockylinux", "almalinux", "amazonlinux", "buildpack-deps", "oven/bun", "ghcr.io/astral-sh/uv",
		"mcr.microsoft.com/dotnet/sdk", "rustlang/rust", "lukemathwalker/cargo-chef",
	}
}

// imageName returns an image reference without tag and digest, and without what
// stands for Docker's own library.
func imageName(ref string) string {
	name, _, _ := strings.Cut(ref, "@")
	if i := strings.LastIndex(name, ":"); i > strings.LastIndex(name, "/") {
		name = name[:i]
	}
	// The registry's own names, and copies of Docker's library that others keep.
	for _, host := range []string{"docker.io/", "registry.docker.com/", "index.docker.io/", "registry-1.docker.io/", "mirror.gcr.io/", "public.ecr.aws/docker/"} {
		name = strings.TrimPrefix(name, host)
	}
	return strings.TrimPrefix(name, "library/")
}

// rootStage returns the stage at the bottom of the chain that a stage starts from.
func rootStage(f *dockerfile.File, stage int) dockerfile.Stage {
	for f.Stages[stage].BaseStage >= 0 {
		stage = f.Stages[stage].BaseStage
	}
	return f.Stages[stage]
}

// neededByAny reports a stage that one of the builds needs.
func neededByAny(in Input, stage int) bool {
	return slices.ContainsFunc(in.Builds, func(b Build) bool { return reachable(in.File, b.Target)[stage] })
}

// extends reports a stage that starts from another, at whatever distance.
func extends(f *dockerfile.File, stage, base int) bool {
	for ; stage >= 0; stage = f.Stages[stage].BaseStage {
		if stage == base {
			return true
		}
	}
	return false
}

// usesTool reports a stage, or one below it, with a RUN that uses the tool.
func usesTool(f *dockerfile.File, stage int, tool *effects.Cache) bool {
	for ; stage >= 0; stage = f.Stages[stage].BaseStage {
		if ownUse(f, f.Stages[stage], tool) {
			return true
		}
	}
	return false
}

// ownUse reports a stage with a RUN of its own that uses the tool.
func ownUse(f *dockerfile.File, st dockerfile.Stage, tool *effects.Cache) bool {
	v := newStageView(f, st)
	for i, ins := range st.Instructions {
		if ins.Run == nil {
			continue
		}
		if commands, ok := everyCommand(ins.Run, v.shell[i]); ok && slices.ContainsFunc(commands, func(c command) bool { return c.is(tool) }) {
			return true
		}
	}
	return false
}

func (c command) is(tool *effects.Cache) bool { return tool.Uses(c.words) }

// mayBe is is, also for a program of the repository's folders that only has the
// tool's name.
func (c command) mayBe(tool *effects.Cache) bool {
	return len(c.words) > 0 && tool.Uses(append([]string{path.Base(c.words[0])}, c.words[1:]...))
}

// A mountPlan is where a tool's mounts would go.
type mountPlan struct {
	tool  *effects.Cache
	image string
	runs  []dockerfile.Instruction // get the mounts
	own   map[string]float64       // the part of each, by its text, that the tool's commands have in its time
	dirs  []string
	owner string // ",uid=…" for a cache that is not root's
	home  string
	// leaves reports that one of the runs puts there what it made, and no registry has:
	// another needs it, and a builder may drop a cache mount between the two.
	leaves bool
}

// mountFor proposes a tool's mounts for a stage and those that start from it.
func mountFor(in Input, st dockerfile.Stage, tool *effects.Cache) (Suggestion, bool) {
	f := in.File
	p := mountPlan{tool: tool, image: imageName(rootStage(f, st.Index).Base), own: map[string]float64{}}
	if !slices.Contains(rootImages(), p.image) {
		return Suggestion{}, false
	}
	for _, other := range f.Stages[st.Index:] {
		if extends(f, other.Index, st.Index) && !p.collect(in, other) {
			return Suggestion{}, false
		}
	}
	if len(p.runs) == 0 || p.taken(in, st.Index) || p.hides(in, st.Index) || !used(in, tool) || p.brought(f) || p.cut(in) {
		return Suggestion{}, false
	}
	evidence, ok := p.evidence(in, st)
	if !ok {
		return Suggestion{}, false
	}
	var edits []dockerfile.Edit
	for _, run := range p.runs {
		edits = append(edits, spliced(f, run, addMounts(f, run, p.mounts())...))
	}
	change, err := rewrite(in, 0, edits...)
	if err != nil {
		return Suggestion{}, false
	}
	s := Suggestion{
		Rule: "cache-mount", Title: "keep what " + tool.Program() + " downloads in a cache mount", Evidence: evidence,
		Lines: dockerfile.Lines{From: p.runs[0].Lines.From, To: p.runs[len(p.runs)-1].Lines.To}, Proof: ByConstruction, Changes: []Change{change},
	}
	if strings.HasSuffix(tool.Name, " build") {
		s.Title = "keep the results of go build in a cache mount"
	}
	if !p.price(in, &s) {
		return Suggestion{}, false
	}
	if slices.ContainsFunc(in.Builds, func(b Build) bool { return ships(f, b.Target, st.Index) }) {
		s.Proof = Advice
		s.Obstacle = "the image loses what is in " + list(p.dirs, "and") + " today, and gets smaller by it"
	}
	return s, true
}

// cut reports a RUN of which manifests-first makes two, or above which it puts a
// download: what has which mounts is told once that is done.
func (p *mountPlan) cut(in Input) bool {
	return in.asks("manifests-first") && slices.ContainsFunc(manifestsFirst(in), func(s Suggestion) bool {
		return s.Proof == ByConstruction && slices.ContainsFunc(p.runs, func(run dockerfile.Instruction) bool {
			return s.Lines.To == run.Lines.To && (strings.Contains(run.Run.Script, "&&") || strings.HasPrefix(p.tool.Name, "go "))
		})
	})
}

// used reports that the context has a manifest for a tool. A RUN may name several
// tools for the one that the lock file tells.
func used(in Input, tool *effects.Cache) bool {
	found, loose, rival := len(tool.Manifests) == 0, false, false
	for name := range in.Builds[0].Context.Files() {
		if tool.Name == "go modules" && strings.HasSuffix("/"+name, "/vendor/modules.txt") {
			return false // the modules come with the sources
		}
		base := path.Base(name)
		if tool.Holding != "" && slices.Contains(tool.Manifests, base) {
			data, err := in.Builds[0].Context.Read(name)
			settings := path.Join(path.Dir(name), ".yarnrc.yml")
			if err != nil || !bytes.Contains(data, []byte(tool.Holding)) || in.Builds[0].Context.Exists(settings) {
				return false
			}
		}
		found = found || slices.Contains(tool.Manifests, base)
		loose, rival = loose || slices.Contains(tool.Loose, base), rival || slices.Contains(tool.Rivals, base)
	}
	return found || loose && !rival
}

func (p *mountPlan) mounts() []string {
	var flags []string
	for _, dir := range p.dirs {
		flag := "--mount=type=cache,target=" + dir + p.owner
		if p.tool.Sharing != "" {
			flag += ",sharing=" + p.tool.Sharing
		}
		flags = append(flags, flag)
	}
	return flags
}

// collect notes the RUNs of a stage that use the tool. It reports false where a
// mount would be wrong or could not be told to be right.
func (p *mountPlan) collect(in Input, st dockerfile.Stage) bool {
	f := in.File
	v := in.view(st)
	at := whereabouts{home: "/root", known: true}
	for _, ins := range instructionsOf(f, st.BaseStage) {
		at = p.follow(at, ins)
	}
	for i, ins := range st.Instructions {
		at = p.follow(at, ins)
		if !at.known && ins.Run != nil {
			return false
		}
		if ins.Run == nil {
			continue
		}
		commands, ok := everyCommand(ins.Run, v.shell[i])
		if !ok {
			if p.tool.Needed || strings.Contains(ins.Text, p.tool.Program()) {
				return false
			}
			continue
		}
		commands = in.running(v, i, commands)
		if !slices.ContainsFunc(commands, func(c command) bool { return c.is(p.tool) }) {
			if p.tool.Needed && len(p.runs) > 0 && slices.ContainsFunc(commands, mayRun) {
				return false // it may use the tool by itself
			}
			continue
		}
		if v.arranged(i, p.tool.Program()).cache || slices.ContainsFunc(commands, func(c command) bool { return c.is(p.tool) && v.replaced(i, c.words) }) {
			return false
		}
		dirs := p.tool.At(p.image, at.home)
		if at.below != "" {
			dirs = []string{path.Join(at.below, p.tool.Below[1])}
		}
		if len(dirs) == 0 || len(p.runs) > 0 && (p.leaves || !slices.Equal(dirs, p.dirs) || at.owner != p.owner) || p.contradicted(ins, commands, dirs) {
			return false
		}
		p.leaves = slices.ContainsFunc(commands, func(c command) bool {
			return c.is(p.tool) && slices.ContainsFunc(c.words, func(w string) bool { return slices.Contains(p.tool.Leaves, w) })
		})
		p.dirs, p.owner, p.home = dirs, at.owner, at.home
		p.runs = append(p.runs, ins)
		p.own[ins.Text] = p.part(ins.Run, commands)
	}
	return true
}

// part says how much of a RUN's time its commands of the tool take, by the table: the
// mount spares the others nothing.
func (p *mountPlan) part(run *dockerfile.Run, commands []command) float64 {
	var own []string
	for _, c := range commands {
		if c.is(p.tool) {
			own = append(own, c.text())
		}
	}
	return min(prior(strings.Join(own, " && "))/prior(run.Given+strings.Join(run.Args, " ")), 1)
}

// mayRun reports a command that may run others.
func mayRun(c command) bool { return !slices.Contains(blindCommands(), c.words[0]) && !isFree(c) }

// A whereabouts is what decides where a cache lies.
type whereabouts struct {
	home, owner string
	below       string // the value of the tool's variable, "" if it has none
	known       bool
}

// follow takes in an instruction.
func (p *mountPlan) follow(at whereabouts, ins dockerfile.Instruction) whereabouts {
	switch ins.Keyword {
	case "USER":
		name, _, _ := strings.Cut(ins.Value, ":")
		switch {
		case name == "root" || name == "0":
			at.home, at.owner = "/root", ""
		case p.image == "node" && (name == "node" || name == "1000"):
			at.home, at.owner = "/home/node", ",uid=1000,gid=1000"
		default:
			at.known = false
		}
	case "ENV", "ARG":
		for i, name := range ins.Names {
			if len(p.tool.Below) > 0 && name == p.tool.Below[0] && ins.Keyword == "ENV" && i < len(ins.Vars) {
				at.below = strings.Trim(ins.Vars[i].Value, `"'`)
				at.known = at.known && path.IsAbs(at.below) && !strings.ContainsAny(at.below, "$\\\"'")
				continue
			}
			if name == "HOME" || strings.HasPrefix(name, "XDG_") || slices.ContainsFunc(p.tool.Env, func(e string) bool { return strings.HasPrefix(name, e) }) {
				at.known = false
			}
		}
	}
	return at
}

// contradicted reports a RUN that has a mount there, or that says by a flag, an
// assignment or a removal that it wants no cache.
func (p *mountPlan) contradicted(ins dockerfile.Instruction, commands []command, dirs []string) bool {
	for _, m := range ins.Run.Mounts {
		unread := m.Target == "" && m.Type != "secret" && m.Type != "ssh" // it may be this one
		if unread || strings.Contains(m.Target, "$") || slices.ContainsFunc(dirs, func(d string) bool { return m.Target != "" && path.IsAbs(m.Target) && overlap(d, m.Target) }) {
			return true
		}
	}
	called := p.tool.Program()
	for _, c := range commands {
		switch {
		case c.mayBe(p.tool) && slices.ContainsFunc(c.words, func(w string) bool {
			// Without a network, or told not to fetch, the step relies on files that
			// an earlier one left; a builder may drop a cache mount between the two.
			name, _, _ := strings.Cut(w, "=")
			return slices.Contains(p.tool.Against, name) || name == "--offline" || name == "--prefer-offline"
		}), slices.Contains(ins.Flags, "--network=none"):
			return true
		case c.words[0] == called && slices.ContainsFunc(c.words, func(w string) bool { return slices.Contains([]string{"cache", "store", "clean", "purge"}, w) }):
			return true
		case c.words[0] == "rm" && slices.ContainsFunc(c.words, func(w string) bool {
			return strings.HasPrefix(w, "~") || strings.HasPrefix(w, "$") || path.IsAbs(w) &&
				slices.ContainsFunc(dirs, func(d string) bool { return overlap(d, path.Clean(strings.TrimRight(w, "*"))) })
		}):
			return true
		case slices.Contains([]string{"su", "sudo", "gosu", "runuser", "chroot"}, c.words[0]):
			return true
		}
	}
	return slices.ContainsFunc(p.tool.Env, func(e string) bool { return strings.Contains(ins.Text, e) }) || strings.Contains(ins.Text, "HOME=")
}

// taken reports that another step reads the cache's folder of the stage.
func (p *mountPlan) taken(in Input, stage int) bool {
	f := in.File
	for _, st := range f.Stages {
		args, v := map[string]string{}, newStageView(f, st)
		for i, ins := range st.Instructions {
			in.defaults(args, ins)
			var paths []string
			if ins.Copy != nil && ins.Copy.From != "" && extends(f, f.StageOf(ins.Copy.From), stage) {
				paths = ins.Copy.Sources
			}
			if ins.Run != nil {
				// A RUN that has no mount finds nothing there, nor does one that has it find what
				// another left; what it names is what it wants.
				mounts := slices.ContainsFunc(p.runs, func(r dockerfile.Instruction) bool { return r.Lines == ins.Lines })
				if !mounts && (extends(f, st.Index, stage) || extends(f, stage, st.Index)) && p.names(f.Source(ins.Lines)) {
					return true
				}
				for _, m := range ins.Run.Mounts {
					if m.From != "" && extends(f, f.StageOf(m.From), stage) {
						paths = append(paths, m.Source)
					}
				}
			}
			for _, name := range paths {
				if name = expand(expand(name, v.env[i]), args); strings.Contains(name, "$") || slices.ContainsFunc(p.dirs, func(d string) bool { return overlap(d, path.Clean("/"+strings.TrimRight(name, "*"))) }) {
					return true
				}
			}
		}
	}
	return false
}

// defaults notes the values that an ARG declares, where no build gives another.
func (in Input) defaults(args map[string]string, ins dockerfile.Instruction) {
	if ins.Keyword != "ARG" && ins.Keyword != "ENV" {
		return
	}
	for _, a := range ins.Vars {
		if ins.Keyword == "ENV" || args[a.Name] == "$" {
			args[a.Name] = "$" // an ENV beats an ARG, and is not followed
			continue
		}
		delete(args, a.Name)
		given := slices.ContainsFunc(in.Builds, func(b Build) bool { _, ok := b.Args[a.Name]; return ok })
		if value := strings.Trim(a.Value, `"'`); a.Set && !given && !strings.ContainsAny(value, "$\\\"'") {
			args[a.Name] = value
		}
	}
}

// names reports whether a text has the path of one of the folders, or of something in
// it, in one of its spellings.
func (p *mountPlan) names(text string) bool {
	return slices.ContainsFunc(p.dirs, func(d string) bool {
		inHome, ok := strings.CutPrefix(d, p.home)
		return strings.Contains(text, d) || ok && slices.ContainsFunc([]string{"~", "$HOME", "${HOME}", `"$HOME"`, `"${HOME}"`}, func(home string) bool {
			return strings.Contains(text, home+inHome)
		})
	})
}

// hides reports that a COPY or ADD puts something into one of the folders, which a
// mount would lie on top of.
func (p *mountPlan) hides(in Input, stage int) bool {
	for _, st := range in.File.Stages {
		if !extends(in.File, st.Index, stage) && !extends(in.File, stage, st.Index) {
			continue
		}
		v := newStageView(in.File, st)
		for i, ins := range st.Instructions {
			if ins.Copy != nil && slices.ContainsFunc(in.Builds, func(b Build) bool { return v.clash(b, i, p.dirs) != "" }) {
				return true
			}
		}
	}
	return false
}

// evidence says how often the first of the steps that do so runs again; false where
// the history shows that none does.
func (p *mountPlan) evidence(in Input, st dockerfile.Stage) (string, bool) {
	what := p.elsewhere() + "`%s` starts from nothing each time it runs"
	if in.Commits.Len() == 0 {
		return fmt.Sprintf(what, short(p.runs[0].Text)) + "; there is no history to count changes in.", true
	}
	for _, run := range p.fetching() {
		if n := in.repeated(st, run); n > 0 {
			return fmt.Sprintf(what+": for %d of the last %s, which change files that it or a step above it takes.", short(run.Text), n, in.Commits.Counted()), true
		}
	}
	return "", false
}

// elsewhere tells of a cache mount that is there, bears the program's name, and is none
// that it uses; "" without one.
func (p *mountPlan) elsewhere() string {
	for _, run := range p.runs {
		for _, m := range run.Run.Mounts {
			name := strings.TrimPrefix(path.Base(m.Target), ".")
			if m.Type != "cache" || name != p.tool.Program() || slices.ContainsFunc(effects.Caches(), func(c *effects.Cache) bool { return covers(m.Target, c) }) {
				continue
			}
			who := p.tool.Program()
			if len(p.tool.Root) > 0 && p.owner == "" {
				who = "as root, " + who
			}
			return fmt.Sprintf("The cache mount at %s stays empty: %s keeps its downloads in %s. ", m.Target, who, list(p.dirs, "and"))
		}
	}
	return ""
}

// fetching are the RUNs that a warm cache spares something.
func (p *mountPlan) fetching() []dockerfile.Instruction {
	if p.tool.Needed {
		return p.runs[:1]
	}
	return p.runs
}
