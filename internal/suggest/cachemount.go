package suggest

import (
	"bytes"
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/effects"
)

// cacheMount proposes to keep what package managers download in cache mounts, so that a step
// that runs again does not download everything again. See docs/rules/cache-mount.md.
func cacheMount(in Input) []Suggestion {
	if in.shared != nil {
		return in.shared.mounts()
	}
	return findMounts(in)
}

// findMounts computes the suggestions of cacheMount.
func findMounts(in Input) []Suggestion {
	var list []Suggestion
	for _, tool := range effects.Caches() {
		for _, st := range in.File.Stages {
			if !neededByAny(in, st.Index) || !in.ownUse(st, tool) || in.usesTool(st.BaseStage, tool) {
				continue // the tool is not used, or its mounts are proposed with a base stage
			}
			s, ok := mountFor(in, st, tool)
			told := slices.ContainsFunc(list, func(o Suggestion) bool { return o.Title == s.Title && o.Lines == s.Lines })
			if ok && !told {
				list = append(list, s)
			}
		}
	}
	if len(list) == 0 {
		list = goMake(in)
	}
	return append(list, cargoTarget(in)...)
}

// neededByAny reports whether one of the builds needs a stage.
func neededByAny(in Input, stage int) bool {
	return slices.ContainsFunc(in.Builds, func(b Build) bool { return reachable(in.File, b.Target)[stage] })
}

// extends reports whether a stage is base or has it among its base stages.
func extends(f *dockerfile.File, stage, base int) bool {
	for ; stage >= 0; stage = f.Stages[stage].BaseStage {
		if stage == base {
			return true
		}
	}
	return false
}

// usesTool reports whether a stage or one of its base stages has a RUN that uses the tool.
func (in Input) usesTool(stage int, tool *effects.Cache) bool {
	for ; stage >= 0; stage = in.File.Stages[stage].BaseStage {
		if in.ownUse(in.File.Stages[stage], tool) {
			return true
		}
	}
	return false
}

// ownUse reports whether a stage itself has a RUN that uses the tool.
func (in Input) ownUse(st dockerfile.Stage, tool *effects.Cache) bool {
	v := in.bare(st)
	for i, ins := range st.Instructions {
		if ins.Run == nil {
			continue
		}
		if commands, ok := v.everyCommand(i); ok && slices.ContainsFunc(commands, func(c command) bool { return c.is(tool) }) {
			return true
		}
	}
	return false
}

// is reports whether the command fills or reads the cache of the tool.
func (c command) is(tool *effects.Cache) bool { return tool.Uses(c.words) }

// mayBe is like is, but also reports true for a program of the repository with the tool's name.
func (c command) mayBe(tool *effects.Cache) bool {
	return len(c.words) > 0 && tool.Uses(append([]string{path.Base(c.words[0])}, c.words[1:]...))
}

// A mountPlan says which RUNs get the mounts of a tool, and which mounts these are.
type mountPlan struct {
	tool  *effects.Cache
	image string                   // name of the base image
	runs  []dockerfile.Instruction // they get the mounts
	own   map[string]float64       // share of a RUN's time, by its text, that commands of the tool take
	dirs  []string                 // image folders of the cache: one mount each
	owner string                   // flags of the mounts of a user other than root: ",uid=…,gid=…"
	base  string                   // image of the stage, in what a cache of its own is named after; else ""
	home  string                   // home folder of the user
	// leaves says that the last of the runs puts into the cache what it built itself. Later
	// runs need that, and a builder may drop a cache mount between the two.
	leaves bool
}

// mountFor proposes the mounts of a tool for a stage and those that start from it.
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
	if p.ownForImage() {
		p.base = imagesOf(in, st)[0]
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
	} else if why := cmp.Or(p.linkedInto(in), p.ofImages(in, st), p.compiledWith(in, st), p.movesOn(in), p.outdated(in, st), p.foreign()); why != "" {
		s.Proof, s.Obstacle = Advice, why
	}
	return s, true
}

// cut reports whether manifests-first cuts one of the RUNs in two, or puts a download above it.
// Which part gets which mounts can be proposed once that is done.
func (p *mountPlan) cut(in Input) bool {
	return in.asks("manifests-first") && slices.ContainsFunc(manifestsFirst(in), func(s Suggestion) bool {
		return s.Proof == ByConstruction && slices.ContainsFunc(p.runs, func(run dockerfile.Instruction) bool {
			return s.Lines.To == run.Lines.To && (strings.Contains(run.Run.Script, "&&") || strings.HasPrefix(p.tool.Name, "go "))
		})
	})
}

// used reports whether the context has a manifest of the tool. A RUN may name several tools,
// and run the one whose lock file it finds.
func used(in Input, tool *effects.Cache) bool {
	context := in.Builds[0].Context
	found, loose, rival := len(tool.Manifests) == 0, false, false
	for name := range context.Files() {
		if tool.Name == "go modules" && strings.HasSuffix("/"+name, "/vendor/modules.txt") {
			return false // the modules come with the sources
		}
		base := path.Base(name)
		if slices.Contains(tool.Manifests, base) {
			if !writtenBy(context, name, tool) {
				return false
			}
			found = true
		}
		loose = loose || slices.Contains(tool.Loose, base)
		rival = rival || slices.Contains(tool.Rivals, base)
	}
	return found || loose && !rival
}

// writtenBy reports whether a manifest is of the version of the tool that the cache belongs to:
// yarn 2 and later call their lock file like yarn 1 does, and keep downloads elsewhere.
func writtenBy(c Context, manifest string, tool *effects.Cache) bool {
	if tool.Holding == "" {
		return true
	}
	text, err := c.Read(manifest)
	return err == nil && bytes.Contains(text, []byte(tool.Holding)) && !c.Exists(path.Join(path.Dir(manifest), ".yarnrc.yml"))
}

// collect adds the RUNs of a stage that use the tool to the plan. It reports false if a mount
// would be wrong, or is not known to be right.
func (p *mountPlan) collect(in Input, st dockerfile.Stage) bool {
	v := in.view(st)
	at := whereabouts{home: "/root", known: true}
	for _, ins := range instructionsOf(in.File, st.BaseStage) {
		at = p.follow(at, ins)
	}
	for i, ins := range st.Instructions {
		at = p.follow(at, ins)
		if ins.Run == nil {
			continue
		}
		if !at.known {
			return false
		}
		commands, ok := v.everyCommand(i)
		if !ok {
			if p.tool.Needed || strings.Contains(ins.Text, p.tool.Program()) {
				return false
			}
			continue
		}
		commands = in.running(v, i, commands, in.Builds)
		if slices.ContainsFunc(commands, func(c command) bool { return c.is(p.tool) }) {
			if !p.add(in, v, i, commands, at) {
				return false
			}
			continue
		}
		if p.tool.Needed && len(p.runs) > 0 && slices.ContainsFunc(commands, mayRun) {
			return false // one of the commands may use the tool, and would need the mounts
		}
	}
	return true
}

// add adds instruction i, a RUN with these commands, to the plan. It reports false if a mount
// would be wrong for it, or if it needs other mounts than the RUNs that are in the plan.
func (p *mountPlan) add(in Input, v *stageView, i int, commands []command, at whereabouts) bool {
	if v.arranged(i, p.tool.Program(), nil).cache || slices.ContainsFunc(commands, func(c command) bool { return c.is(p.tool) && v.replaced(i, c.words) }) {
		return false
	}
	dirs := p.tool.At(p.image, at.home)
	if at.below != "" {
		dirs = []string{path.Join(at.below, p.tool.Below[1])}
	}
	ins := v.stage.Instructions[i]
	if len(dirs) == 0 || p.contradicted(ins, commands, dirs) {
		return false
	}
	here := mountPlan{tool: p.tool, dirs: dirs, home: at.home}
	if here.worksOn(v, i, commands) {
		return false
	}
	if len(p.runs) > 0 && (p.leaves || !slices.Equal(dirs, p.dirs) || at.owner != p.owner) {
		return false
	}
	p.leaves = slices.ContainsFunc(commands, func(c command) bool {
		return c.is(p.tool) && slices.ContainsFunc(c.words, func(w string) bool { return slices.Contains(p.tool.Leaves, w) })
	})
	p.dirs, p.owner, p.home = dirs, at.owner, at.home
	p.runs = append(p.runs, ins)
	p.own[ins.Text] = p.share(in.running(v, i, commands, in.Builds[:1]), in.scriptOf(ins))
	return true
}

// share returns the share of a RUN's time, 0..1, that those of its commands take that are the tool's, by
// the built-in costs: only that part can get faster by the mounts.
func (p *mountPlan) share(commands []command, script string) float64 {
	var own []string
	for _, c := range commands {
		if c.is(p.tool) {
			own = append(own, c.text())
		}
	}
	return min(prior(strings.Join(own, " && "))/prior(script), 1)
}

// mayRun reports whether a command may run other programs.
func mayRun(c command) bool { return !slices.Contains(blindCommands(), c.words[0]) && !isFree(c) }

// contradicted reports whether a RUN already mounts something at one of the folders, or shows
// by a flag, a variable or a command that a cache mount there would be wrong.
func (p *mountPlan) contradicted(ins dockerfile.Instruction, commands []command, dirs []string) bool {
	for _, m := range ins.Run.Mounts {
		// The target of a cache or bind mount may be given in a way that is not understood.
		unknown := m.Target == "" && m.Type != "secret" && m.Type != "ssh" || strings.Contains(m.Target, "$")
		if unknown || path.IsAbs(m.Target) && overlapsAny(dirs, m.Target) {
			return true
		}
	}
	if slices.ContainsFunc(commands, func(c command) bool { return p.contradicts(c, dirs) }) {
		return true
	}
	return slices.Contains(ins.Flags, "--network=none") || strings.Contains(ins.Text, "HOME=") ||
		slices.ContainsFunc(p.tool.Env, func(e string) bool { return strings.Contains(ins.Text, e) })
}

// contradicts reports whether a command works without a network, works on the cache itself,
// empties one of its folders or runs others as another user.
func (p *mountPlan) contradicts(c command, dirs []string) bool {
	// Without a network, or told not to download, the tool relies on files that an earlier
	// step left; a builder may drop a cache mount between the two.
	offline := func(word string) bool {
		name, _, _ := strings.Cut(word, "=")
		return slices.Contains(p.tool.Against, name) || name == "--offline" || name == "--prefer-offline"
	}
	if c.mayBe(p.tool) && slices.ContainsFunc(c.words, offline) {
		return true
	}
	switch c.words[0] {
	case p.tool.Program():
		return slices.ContainsFunc(c.words, func(w string) bool { return slices.Contains([]string{"cache", "store", "clean", "purge"}, w) })
	case "rm":
		return slices.ContainsFunc(c.words, func(w string) bool {
			return strings.HasPrefix(w, "~") || strings.HasPrefix(w, "$") || path.IsAbs(w) && overlapsAny(dirs, path.Clean(strings.TrimRight(w, "*")))
		})
	case "su", "sudo", "gosu", "runuser", "chroot":
		return true
	}
	return false
}

// overlapsAny reports whether an image path may be one of the folders, or above or below one.
func overlapsAny(dirs []string, name string) bool {
	return slices.ContainsFunc(dirs, func(dir string) bool { return overlap(dir, name) })
}

// taken reports whether an instruction without the mounts takes something from the folders of
// the cache as the stage leaves them. With the mounts, nothing would be there.
func (p *mountPlan) taken(in Input, stage int) bool {
	f := in.File
	for _, st := range f.Stages {
		args, v := map[string]string{}, in.bare(st)
		related := extends(f, st.Index, stage) || extends(f, stage, st.Index)
		for i, ins := range st.Instructions {
			in.defaults(args, ins)
			mounted := slices.ContainsFunc(p.runs, func(r dockerfile.Instruction) bool { return r.Lines == ins.Lines })
			if ins.Run != nil && related && !mounted {
				commands, _ := v.everyCommand(i)
				if p.names(f.Source(ins.Lines)) || p.worksOn(v, i, commands) {
					return true
				}
			}
			for _, name := range takenFrom(f, ins, stage) {
				name = expand(expand(name, v.env[i]), args)
				if strings.Contains(name, "$") || overlapsAny(p.dirs, path.Clean("/"+strings.TrimRight(name, "*"))) {
					return true
				}
			}
		}
	}
	return false
}

// takenFrom returns the paths that an instruction copies or mounts from a stage, or from one
// that starts from it.
func takenFrom(f *dockerfile.File, ins dockerfile.Instruction, stage int) []string {
	var paths []string
	if ins.Copy != nil && ins.Copy.From != "" && extends(f, f.StageOf(ins.Copy.From), stage) {
		paths = append(paths, ins.Copy.Sources...)
	}
	if ins.Run != nil {
		for _, m := range ins.Run.Mounts {
			if m.From != "" && extends(f, f.StageOf(m.From), stage) {
				paths = append(paths, m.Source)
			}
		}
	}
	return paths
}

// defaults adds to args the default values of an ARG that are known, and that no build
// overrides. An ENV hides an ARG of its name for good: its value becomes "$", not known.
func (in Input) defaults(args map[string]string, ins dockerfile.Instruction) {
	if ins.Keyword != "ARG" && ins.Keyword != "ENV" {
		return
	}
	for _, a := range ins.Vars {
		if ins.Keyword == "ENV" || args[a.Name] == "$" {
			args[a.Name] = "$"
			continue
		}
		delete(args, a.Name)
		given := slices.ContainsFunc(in.Builds, func(b Build) bool { _, ok := b.Args[a.Name]; return ok })
		if value := strings.Trim(a.Value, `"'`); a.Set && !given && !strings.ContainsAny(value, "$\\\"'") {
			args[a.Name] = value
		}
	}
}

// names reports whether a text has the path of one of the folders, or of something in it: in
// full, or from the home folder on.
func (p *mountPlan) names(text string) bool {
	return slices.ContainsFunc(p.dirs, func(d string) bool {
		inHome, ok := strings.CutPrefix(d, p.home)
		return strings.Contains(text, d) || ok && slices.ContainsFunc([]string{"~", "$HOME", "${HOME}", `"$HOME"`, `"${HOME}"`}, func(home string) bool {
			return strings.Contains(text, home+inHome)
		})
	})
}

// hides reports whether a mount would hide something that a COPY or ADD puts into one of the
// folders.
func (p *mountPlan) hides(in Input, stage int) bool {
	for _, st := range in.File.Stages {
		if !extends(in.File, st.Index, stage) && !extends(in.File, stage, st.Index) {
			continue
		}
		v := in.bare(st)
		for i, ins := range st.Instructions {
			if ins.Copy != nil && slices.ContainsFunc(in.Builds, func(b Build) bool { return v.clash(b, i, p.dirs) != "" }) {
				return true
			}
		}
	}
	return false
}

// evidence says how often the first RUN that a warm cache makes faster ran again in the
// history. It reports false if there is a history in which none did.
func (p *mountPlan) evidence(in Input, st dockerfile.Stage) (string, bool) {
	anew := "downloads everything anew"
	if strings.HasSuffix(p.tool.Name, " build") {
		anew = "compiles everything anew"
	}
	if in.Commits.Len() == 0 {
		return fmt.Sprintf("%s`%s` %s each time it runs; there is no history to count changes in.", p.elsewhere(), short(p.runs[0].Text), anew), true
	}
	for _, run := range p.fetching() {
		if n := in.repeated(st, run); n > 0 {
			return fmt.Sprintf("%s%d of the last %s %s files that `%s` or a step above it takes: each time it %s.",
				p.elsewhere(), n, in.Commits.Counted(), change(n), short(run.Text), anew), true
		}
	}
	return "", false
}

// elsewhere tells of a cache mount that is named after the program, but is at a folder which
// the program does not use. It returns "" if there is none.
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

// fetching returns the RUNs that a warm cache makes faster: if the others read what the first
// one downloaded, only that.
func (p *mountPlan) fetching() []dockerfile.Instruction {
	if p.tool.Needed {
		return p.runs[:1]
	}
	return p.runs
}
