package suggest

import (
	"bytes"
	"path"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/replay"
)

// told narrows what the steps depend on that take files from another stage: only the step
// there that wrote the files counts. BuildKit compares their content (solver: CacheMap.Deps,
// ComputeDigestFunc), so that a step runs again neither for what comes later in that stage
// nor for other files in it.
func (in Input) told(b Build, plan *dockerfile.Plan, text []byte, takers func(string) []int, steps []replay.Step) {
	n := slices.IndexFunc(in.Builds, func(o Build) bool { return o.Name == b.Name })
	if n < 0 || !slices.ContainsFunc(plan.Steps, func(s dockerfile.Step) bool { return len(s.From) > 0 }) {
		return
	}
	if !bytes.Equal(text, in.File.Text) {
		f, err := in.parse(text)
		if err != nil {
			return
		}
		in.File = f
	}
	t := teller{in: in, n: n, plan: plan, orders: map[int]*ordering{}}
	for i, s := range plan.Steps {
		whole := map[int]bool{} // parents that cannot be narrowed
		for _, take := range s.From {
			k, names := t.source(take)
			if names == nil && k == take.Step || take.Step == s.Base {
				whole[take.Step] = true
				continue
			}
			steps[i].Waits = append(steps[i].Waits, take.Step)
			switch {
			case names != nil:
				feeds := t.above(k)
				state := in.history().States(1, func(p string) []int {
					if (names[path.Base(p)] || strings.HasSuffix(p, "/")) && slices.ContainsFunc(takers(p), func(s int) bool { return feeds[s] }) {
						return []int{0}
					}
					return nil
				})[0]
				steps[i].States = replay.Join(steps[i].States, state)
			case k >= 0:
				steps[i].Parents = append(slices.Clone(steps[i].Parents), k)
			}
		}
		steps[i].Waits = slices.DeleteFunc(steps[i].Waits, func(p int) bool { return whole[p] })
	}
}

// A teller finds the steps that write what other stages take.
type teller struct {
	in     Input
	n      int // index of the build
	plan   *dockerfile.Plan
	orders map[int]*ordering // by index of the stage
}

// source returns the last step that may have written what is taken, or -1 if it comes from the
// base image. If that step is known to make it only from files with certain names, these are
// returned too.
func (t *teller) source(take dockerfile.StageTake) (int, map[string]bool) {
	k := take.Step
	for ; k >= 0; k = t.plan.Steps[k].Base {
		o, i := t.find(k)
		if o == nil {
			return k, nil
		}
		if names := o.view.recipe(i, take.Path); names != nil {
			return k, names
		}
		if t.mayWrite(o, i, literal(take.Path)) {
			return k, nil
		}
	}
	return k, nil
}

// find returns the instruction of step k and an ordering of its stage, or nil if it has none.
func (t *teller) find(k int) (*ordering, int) {
	s := t.plan.Steps[k]
	for _, st := range t.in.File.Stages {
		i := slices.IndexFunc(st.Instructions, func(ins dockerfile.Instruction) bool { return ins.Lines.From == s.Lines.From })
		if i < 0 || s.OnBuild {
			continue
		}
		o, ok := t.orders[st.Index]
		if !ok {
			p := proving(t.in, st)
			o = &p
			t.orders[st.Index] = o
		}
		return o, i
	}
	return nil, 0
}

// mayWrite reports whether instruction i may write to a path, or make a link through which
// others do.
func (t *teller) mayWrite(o *ordering, i int, name string) bool {
	switch ins := o.view.stage.Instructions[i]; {
	case ins.Copy != nil:
		return o.view.lands(t.in.Builds[t.n], i, rooted(name))
	case ins.Run != nil:
		return len(o.view.madeLinks(i)) > 0 || o.mayChange(t.n, i, name) && !o.leavesAlone(i, name)
	}
	return false
}

// ofSystem are paths that come with packages, and that images often take from a stage that builds.
// Each has words that are likely to be in a script which changes what lies there.
var ofSystem = map[string][]string{
	"/etc/ssl":               {"ssl", "cert"},
	"/etc/pki":               {"pki", "cert"},
	"/etc/ca-certificates":   {"cert"},
	"/usr/share/zoneinfo":    {"zoneinfo", "tzdata"},
	"/usr/local/go/lib/time": {"zoneinfo"},
	"/etc/passwd":            {"passwd", "user"},
	"/etc/group":             {"group", "user"},
}

// leavesAlone reports whether RUN i, of which not all commands are known, is unlikely to change what
// lies at a path: that comes with packages, and the script has no word about it. An install may
// write it anew, but with the same content, and BuildKit keys a copy of it by that.
func (o *ordering) leavesAlone(i int, name string) bool {
	script := strings.ToLower(o.view.stage.Instructions[i].Run.Given)
	for folder, words := range ofSystem {
		if _, in := below(folder, path.Clean("/"+name)); in && !o.run(i).known {
			return !slices.ContainsFunc(words, func(w string) bool { return strings.Contains(script, w) })
		}
	}
	return false
}

// above returns step k and all steps that it depends on.
func (t *teller) above(k int) map[int]bool {
	all := map[int]bool{}
	var add func(int)
	add = func(k int) {
		all[k] = true
		for _, p := range t.plan.Steps[k].Parents {
			if !all[p] {
				add(p)
			}
		}
	}
	add(k)
	return all
}

// recipe returns the names of the files from which instruction i makes an image path, if it is
// a RUN of a tool that extracts manifests for a stage that installs (cargo chef, turbo prune):
// other files do not count. It returns nil otherwise.
func (v *stageView) recipe(i int, image string) map[string]bool {
	ins := v.stage.Instructions[i]
	if ins.Run == nil {
		return nil
	}
	commands, ok := v.everyCommand(i)
	if !ok {
		return nil
	}
	for _, c := range commands {
		words := c.words
		for len(words) > 1 && slices.Contains([]string{"npx", "pnpx", "bunx", "dlx", "exec", "pnpm", "yarn"}, words[0]) {
			words = words[1:]
		}
		switch {
		case c.starts("cargo", "chef", "prepare") && path.Base(image) == path.Base(option(words, "--recipe-path", "recipe.json")):
			// It also depends on which targets exist, but not on their content.
			return names("Cargo.toml", "Cargo.lock", "rust-toolchain", "rust-toolchain.toml", "config.toml", "config")
		case len(words) > 1 && strings.HasPrefix(words[0], "turbo") && words[1] == "prune" && slices.Contains(words, "--docker"):
			rel, ok := below(resolve(v.dirs[i], option(words, "--out-dir", "out"), 0), image)
			if ok && rel != "." && rel != "full" && !strings.HasPrefix(rel, "full/") {
				return names("package.json", "package-lock.json", "yarn.lock", "pnpm-lock.yaml", "bun.lock", "bun.lockb", "pnpm-workspace.yaml",
					".npmrc", ".yarnrc.yml", ".gitignore", "turbo.json")
			}
		}
	}
	return nil
}

// ofRecipe returns, for a COPY of a recipe from another stage, the lines of the COPYs from
// which the recipe is made, with the names of the files that count.
func (in Input) ofRecipe(ins dockerfile.Instruction) map[int]map[string]bool {
	from := in.File.StageOf(ins.Copy.From)
	if from < 0 {
		return nil
	}
	v, lines := in.bare(in.File.Stages[from]), map[int]map[string]bool{}
	for i := range v.stage.Instructions {
		for _, src := range ins.Copy.Sources {
			names := v.recipe(i, path.Clean("/"+src))
			if names == nil {
				continue
			}
			for _, above := range instructionsOf(in.File, from) {
				if above.Copy != nil && above.Copy.From == "" && above.Lines.From < v.stage.Instructions[i].Lines.From {
					lines[above.Lines.From] = names
				}
			}
		}
	}
	return lines
}

// repeated counts the commits for which run, an instruction of a stage, runs again: those that
// change a file which a COPY above it takes, in the stage or a base stage.
func (in Input) repeated(st dockerfile.Stage, run dockerfile.Instruction) int {
	b, lines := in.Builds[0], map[int]map[string]bool{run.Lines.From: nil} // with the names that count, nil for all
	for _, other := range in.File.Stages {
		for _, ins := range other.Instructions {
			if ins.Lines.From >= run.Lines.From || ins.Copy == nil || other.Index != st.Index && !extends(in.File, st.Index, other.Index) {
				continue
			}
			if ins.Copy.From == "" {
				lines[ins.Lines.From] = nil
				continue
			}
			for line, names := range in.ofRecipe(ins) {
				if _, all := lines[line]; !all {
					lines[line] = names
				}
			}
		}
	}
	return in.Commits.Touching(func(name string) bool {
		rel, ok := b.inside(name)
		if !ok {
			return false
		}
		for line, names := range lines {
			if (names == nil || names[path.Base(name)] || strings.HasSuffix(name, "/")) && b.Context.Takes(line, rel) {
				return true
			}
		}
		return false
	})
}

// names returns a set of names.
func names(list ...string) map[string]bool {
	set := map[string]bool{}
	for _, n := range list {
		set[n] = true
	}
	return set
}

// option returns the value of a flag in words, or the given default.
func option(words []string, flag, value string) string {
	for i, w := range words {
		if given, ok := strings.CutPrefix(w, flag+"="); ok {
			return given
		}
		if w == flag && i+1 < len(words) {
			return words[i+1]
		}
	}
	return value
}
