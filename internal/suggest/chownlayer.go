package suggest

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
)

// chownLayer tells of RUNs that change the owner or mode of all that a COPY brought: a layer
// holds whole files, so the image contains them twice. See docs/rules/chown-layer.md.
func chownLayer(in Input) []Suggestion {
	var list []Suggestion
	for _, st := range in.File.Stages {
		if !slices.ContainsFunc(in.Builds, func(b Build) bool { return ships(in.File, b.Target, st.Index) }) {
			continue
		}
		v := in.bare(st)
		for k, ins := range st.Instructions {
			if ins.Run == nil {
				continue
			}
			commands, ok := v.everyCommand(k)
			if !ok {
				continue
			}
			var told []string // folders: a file that two commands change is in the layer once
			for _, c := range commands {
				o, ok := v.ownership(k, c)
				if !ok {
					continue
				}
				o.told, o.alone = told, len(commands) == 1 && len(o.folders) == 1
				if s, filled := rewritten(in, v, k, o, commands); len(filled) > 0 {
					list, told = append(list, s), append(told, filled...)
				}
			}
		}
	}
	return list
}

// An ownership is what a recursive chown or chmod makes of some folders.
type ownership struct {
	c       command
	flag    string   // chown or chmod
	value   string   // the owner or mode
	folders []string // as image paths
	told    []string // folders that a command before it changes, of which is told
	alone   bool     // the RUN does nothing else
}

// ownership returns what c, a command of instruction k, does. It reports false for one that is no
// recursive chown or chmod.
func (v *stageView) ownership(k int, c command) (o ownership, ok bool) {
	flag, value, targets, ok := recursive(c)
	o = ownership{c: c, flag: flag, value: value}
	for _, target := range targets {
		o.folders = append(o.folders, resolve(v.dirs[k], target, v.vars(k)))
	}
	return o, ok
}

// rewritten returns the suggestion for a recursive chown or chmod, one of the commands of
// instruction k, with those of its folders that COPYs bring much to; no folders if there is
// nothing to suggest.
func rewritten(in Input, v *stageView, k int, o ownership, commands []command) (s Suggestion, filled []string) {
	flag, value := o.flag, o.value
	weighs := func(i int) bool { return in.weighs(v.stage.Instructions[i].Copy) }
	var copies []int  // into the filled folders
	var change Change // for the only one of them
	each := true      // a COPY can set what the command sets, in each of them
	for _, dir := range o.folders {
		into := v.copiesInto(k, dir)
		if overlapsAny(o.told, dir) || !slices.ContainsFunc(into, weighs) {
			continue
		}
		made, ok := flagged(in, v, k, into, flag, value, dir)
		filled, copies, change, each = append(filled, dir), append(copies, into...), made, each && ok
	}
	if len(filled) == 0 {
		return Suggestion{}, nil
	}
	slices.Sort(copies)
	copies = slices.Compact(copies) // one folder may be in another
	var heavy []string              // texts of the copies that may bring much
	owned := false                  // one of the copies has an owner of its own
	for _, i := range copies {
		ins := v.stage.Instructions[i]
		if weighs(i) {
			heavy = append(heavy, "`"+short(ins.Text)+"`")
		}
		owned = owned || ins.Copy.Chown != ""
	}
	s = Suggestion{
		Rule: "chown-layer", Lines: v.stage.Instructions[k].Lines, Proof: Advice,
		Title:    fmt.Sprintf("set the %s with COPY --%s", property(flag), flag),
		Evidence: fmt.Sprintf("`%s` rewrites every file that %s brought: the image carries them twice.", short(o.c.text()), list(few(heavy), "and")),
		Obstacle: fmt.Sprintf("%s reaches files that no COPY brought as well", flag),
	}
	part, whole, give := "the "+flag, "it", fmt.Sprintf("give the COPY --%s=%s", flag, value)
	if len(filled) < len(o.folders) {
		part, whole = list(filled, "and"), "the "+flag
	}
	if len(copies) > 1 {
		give = fmt.Sprintf("give each COPY --%s=%s", flag, value)
	}
	switch {
	case flag == "chown" && isRoot(value) && !owned:
		s.Title = "do not make root's what COPY makes root's"
		s.Obstacle = "a COPY without --chown makes its files root's: name only what other steps made, if that is not root's yet"
	case each && flag == "chown" && slices.ContainsFunc(commands, makesOwner):
		s.Obstacle = fmt.Sprintf("the RUN makes the owner, too: do that above the COPY, take %s out, and %s", part, give)
	case each && len(filled) > 1 && len(filled) == len(o.folders) && len(commands) == 1:
		s.Obstacle = fmt.Sprintf("take the RUN out, and %s: what the base image may have in %s would keep its %s", give, list(filled, "and"), property(flag))
	case each && !o.alone:
		s.Obstacle = fmt.Sprintf("the RUN does more than that: take %s out of %s, and %s", part, whole, give)
	case each:
		s.Changes, s.Obstacle = []Change{change}, "what the base image may have in "+filled[0]+" would keep its "+property(flag)
		in.price(&s, variant{}, variant{text: change.New})
	}
	size := in.copied(v, copies)
	s.spares(size, Image, Observed)
	if len(s.Changes) == 0 && size != 0 && size < littleToMount {
		return Suggestion{}, nil
	}
	return s, filled
}

// copiesInto returns the COPYs and ADDs above instruction k with destinations in an image folder.
func (v *stageView) copiesInto(k int, dir string) []int {
	var copies []int
	for i, ins := range v.stage.Instructions[:k] {
		if ins.Copy == nil || ins.Copy.Heredocs > 0 && len(ins.Copy.Sources) == 0 {
			continue
		}
		dest := v.dest(i)
		if _, in := below(dir, dest); in || dest == dir || strings.HasSuffix(dest, "/") && dest == dir+"/" {
			copies = append(copies, i)
		}
	}
	return copies
}

// isRoot reports whether an owner is root, with its group or without one.
func isRoot(owner string) bool {
	return slices.Contains([]string{"root", "0", "root:", "0:", "root:root", "0:0", "root:0", "0:root"}, owner)
}

// makesOwner reports whether a command makes a user or a group.
func makesOwner(c command) bool {
	return slices.Contains([]string{"adduser", "useradd", "addgroup", "groupadd"}, c.words[0])
}

// littleEnough is how many bytes an image may contain twice without a suggestion.
const littleEnough = 1 << 20

// weighs reports whether a COPY may bring much: folders, files of other stages, or files of the
// context that are more than littleEnough in all.
func (in Input) weighs(c *dockerfile.Copy) bool {
	total := 0
	for _, s := range c.Sources {
		text, err := in.Builds[0].Context.Read(strings.TrimPrefix(path.Clean("/"+s), "/"))
		if total += len(text); c.From != "" || err != nil || total > littleEnough {
			return true
		}
	}
	return false
}

// copied returns how many bytes COPYs bring from the context, or 0 if that is not known of one.
func (in Input) copied(v *stageView, copies []int) (total int64) {
	for _, i := range copies {
		ins := v.stage.Instructions[i]
		if !takesContext(ins) {
			return 0
		}
		for _, s := range ins.Copy.Sources {
			name := path.Clean("/" + s)[1:]
			if strings.ContainsAny(name, "*?[") {
				return 0
			}
			if name == "" {
				name = "."
			}
			total += in.Builds[0].Context.Size(name)
		}
	}
	return total
}

// property returns what chown or chmod sets.
func property(flag string) string {
	if flag == "chown" {
		return "owner"
	}
	return "mode"
}

// recursive returns the parts of `chown -R OWNER DIR...` or `chmod -R MODE DIR...`. It reports false
// for other commands.
func recursive(c command) (flag, value string, targets []string, ok bool) {
	if len(c.words) == 0 || c.words[0] != "chown" && c.words[0] != "chmod" {
		return "", "", nil, false
	}
	flags, rest := c.args(1)
	deep := slices.ContainsFunc(flags, func(f string) bool {
		return f == "--recursive" || !strings.HasPrefix(f, "--") && strings.Contains(f, "R")
	})
	if !deep || len(rest) < 2 || strings.ContainsAny(strings.Join(rest[1:], ""), "*?[") {
		return "", "", nil, false
	}
	return c.words[0], rest[0], rest[1:], true
}

// flagged returns the change that sets the owner or mode in the COPY, and removes the RUN. It
// reports false if that is not the only COPY into the folder, or if the Dockerfile says that
// something else may be in the folder, or uses it before the RUN.
func flagged(in Input, v *stageView, k int, copies []int, flag, value, dir string) (Change, bool) {
	ins := v.stage.Instructions
	i := copies[0]
	from := ins[i].Copy
	if len(copies) != 1 || path.Clean(v.dest(i)) != dir || dir[0] == '?' || from.Link || from.Chown != "" || from.Chmod != "" || strings.Contains(value, "$") {
		return Change{}, false
	}
	if flag == "chown" && strings.Count(value, ":") != 1 || flag == "chmod" && strings.Trim(value, "01234567") != "" || len(ins[k].Run.Mounts) > 0 {
		return Change{}, false
	}
	for n := i + 1; n < k; n++ {
		if ins[n].Run != nil || ins[n].Copy != nil && overlap(v.dest(n), dir) || ins[n].Keyword == "USER" || ins[n].Keyword == "ONBUILD" {
			return Change{}, false
		}
	}
	for _, before := range append(instructionsOf(in.File, v.stage.BaseStage), ins[:i]...) {
		above := before.Keyword == "WORKDIR" && path.IsAbs(before.Value) && !strings.HasPrefix(before.Value+"/", dir+"/")
		if !above && (before.Keyword == "WORKDIR" || (before.Run != nil || before.Copy != nil) && strings.Contains(before.Text, dir)) {
			return Change{}, false // the folder exists before the COPY
		}
	}
	edits := append(removeAll(in.File, []dockerfile.Instruction{ins[k]}), spliced(in.File, ins[i], addFlag(in.File, ins[i], "--"+flag+"="+value)))
	change, err := rewrite(in, -1, edits...)
	return change, err == nil
}
