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
				flag, value, targets, ok := recursive(c)
				for _, target := range targets {
					dir := resolve(v.dirs[k], target, v.vars(k))
					if !ok || slices.ContainsFunc(told, func(d string) bool { return overlap(d, dir) }) {
						continue
					}
					o := ownership{c: c, flag: flag, value: value, dir: dir, alone: len(commands) == 1 && len(targets) == 1}
					if s, ok := rewritten(in, v, k, o, commands); ok {
						list, told = append(list, s), append(told, dir)
					}
				}
			}
		}
	}
	return list
}

// An ownership is what a recursive chown or chmod makes of one folder.
type ownership struct {
	c     command
	flag  string // chown or chmod
	value string // the owner or mode
	dir   string // as an image path
	alone bool   // the RUN does nothing else
}

// rewritten returns the suggestion for a recursive chown or chmod, one of the commands of
// instruction k. It reports false unless COPYs bring much to its folder.
func rewritten(in Input, v *stageView, k int, o ownership, commands []command) (Suggestion, bool) {
	flag, value, dir := o.flag, o.value, o.dir
	copies := v.copiesInto(k, dir)
	var heavy []string // texts of the copies that may bring much
	owned := false     // one of the copies has an owner of its own
	for _, i := range copies {
		ins := v.stage.Instructions[i]
		if in.weighs(ins.Copy) {
			heavy = append(heavy, "`"+short(ins.Text)+"`")
		}
		owned = owned || ins.Copy.Chown != ""
	}
	if len(heavy) == 0 {
		return Suggestion{}, false
	}
	s := Suggestion{
		Rule: "chown-layer", Lines: v.stage.Instructions[k].Lines, Proof: Advice,
		Title:    fmt.Sprintf("set the %s with COPY --%s", property(flag), flag),
		Evidence: fmt.Sprintf("`%s` rewrites every file that %s brought: the image carries them twice.", short(o.c.text()), list(few(heavy), "and")),
		Obstacle: fmt.Sprintf("%s reaches files that no COPY brought as well", flag),
	}
	change, ok := flagged(in, v, k, copies, flag, value, dir)
	switch {
	case flag == "chown" && isRoot(value) && !owned:
		s.Title = "do not make root's what COPY makes root's"
		s.Obstacle = "a COPY without --chown makes its files root's: name only what other steps made, if that is not root's yet"
	case ok && flag == "chown" && slices.ContainsFunc(commands, makesOwner):
		s.Obstacle = fmt.Sprintf("the RUN makes the owner, too: do that above the COPY, take the chown out, and give the COPY --chown=%s", value)
	case ok && !o.alone:
		s.Obstacle = fmt.Sprintf("the RUN does more than that: take the %s out of it, and give the COPY --%s=%s", flag, flag, value)
	case ok:
		s.Changes, s.Obstacle = []Change{change}, "what the base image may have in "+dir+" would keep its "+property(flag)
		in.price(&s, variant{}, variant{text: change.New})
	}
	size := in.copied(v, copies)
	s.spares(size, Image, Observed)
	return s, len(s.Changes) > 0 || size == 0 || size >= littleToMount
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
		if ins[n].Run != nil || ins[n].Copy != nil || ins[n].Keyword == "USER" || ins[n].Keyword == "ONBUILD" {
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
