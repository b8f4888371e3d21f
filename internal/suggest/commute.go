package suggest

import (
	"path"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/effects"
)

// commute reports whether instruction i may be moved below instruction j, which stands
// below it today, without changing the image of any build. To keep the search small, a RUN
// passes another only where that can help: a COPY above holds i down, but not j.
func (o *ordering) commute(i, j int) bool {
	if !o.independent(i, j) {
		return false
	}
	ins := o.view.stage.Instructions
	if ins[i].Run == nil || ins[j].Run == nil {
		return true
	}
	for c := range i {
		if ins[c].Copy != nil && o.held(c, i) && !o.held(c, j) {
			return true
		}
	}
	return false
}

// held reports whether RUN r has to stay below instruction c, a COPY or ADD: because of
// what it does itself, or because of a RUN between the two that it has to follow.
func (o *ordering) held(c, r int) bool {
	held, ok := o.below[[2]int{c, r}]
	if ok {
		return held
	}
	held = !o.independent(c, r)
	for k := c + 1; k < r && !held; k++ {
		held = o.view.stage.Instructions[k].Run != nil && !o.independent(k, r) && o.held(c, k)
	}
	if o.below == nil {
		o.below = map[[2]int]bool{}
	}
	o.below[[2]int{c, r}] = held
	return held
}

// independent reports whether the order of instructions i and j, i above j, does not
// matter.
func (o *ordering) independent(i, j int) bool {
	if o.in.shared == nil {
		return o.compare(i, j)
	}
	key := pair{view: o.view, trusts: o.trusts, hopes: o.hopes, i: i, j: j}
	is, ok := o.in.shared.pairs[key]
	if !ok {
		is = o.compare(i, j)
		o.in.shared.pairs[key] = is
	}
	return is
}

// A pair is two instructions of a stage, for an ordering that trusts or hopes.
type pair struct {
	view          *stageView
	trusts, hopes bool
	i, j          int
}

// compare computes the answer of independent.
func (o *ordering) compare(i, j int) bool {
	ins := o.view.stage.Instructions
	a, b := ins[i], ins[j]
	switch {
	case a.Copy != nil && b.Copy != nil:
		return o.apart(i, j)
	case a.Copy != nil:
		return o.passes(i, j)
	case b.Copy != nil:
		return o.passes(j, i)
	case !o.trusts:
		return false
	case !slices.ContainsFunc(ins[:i], func(in dockerfile.Instruction) bool { return in.Copy != nil }):
		return false // above all COPYs every step hits, in any order
	case a.Run != nil && b.Run != nil:
		return o.disjoint(i, j)
	case a.Run != nil:
		return o.heedless(i, j)
	case b.Run != nil:
		return o.heedless(j, i)
	}
	return false
}

// passes reports whether the order of instruction c, a COPY or ADD, and instruction t, of
// another kind, does not matter.
func (o *ordering) passes(c, t int) bool {
	v := o.view
	in, other := v.stage.Instructions[c], v.stage.Instructions[t]
	switch other.Keyword {
	case "LABEL", "EXPOSE", "CMD", "ENTRYPOINT", "HEALTHCHECK", "STOPSIGNAL", "MAINTAINER", "SHELL", "USER", "ONBUILD":
		return true
	case "ARG", "ENV":
		return !strings.Contains(v.file.Source(in.Lines), "$")
	case "WORKDIR":
		if slices.ContainsFunc(o.in.Builds, func(b Build) bool { return v.starts(b, c, t) != "" }) {
			return false
		}
		dest, dir := v.dest(c), resolve(v.dirs[t], v.path(other.Value, v.env[t]), v.vars(t))
		return strings.HasPrefix(dest, "/") && strings.HasPrefix(expand(in.Copy.Dest, v.env[c]), "/") && strings.HasPrefix(dir, "/") &&
			(!overlap(dest, dir) && v.foldersAgree(c, min(c, t), []string{dir}) ||
				in.Copy.Chown == "" && in.Copy.Chmod == "" && v.byRoot(t)) // the first of the two makes the folder
	case "RUN":
		return o.keepsClear(c, t)
	}
	return false
}

// keepsClear reports whether it is known, for every build, that RUN t touches nothing
// that instruction c, a COPY or ADD, writes.
func (o *ordering) keepsClear(c, t int) bool {
	v := o.view
	run := o.run(t)
	if !run.known || strings.HasPrefix(v.dest(c), "?") && !strings.HasPrefix(v.dest(c), baseDir+"/") && v.dest(c) != baseDir {
		return false
	}
	for n, b := range o.in.Builds {
		if !reachable(v.file, b.Target)[v.stage.Index] {
			continue
		}
		known := o.look(n, t, run)
		if !known.ok || o.hidden(b, c, t, known.searched) {
			return false
		}
		touched := known.touched
		if !v.startsAtRoot() && slices.ContainsFunc(slices.Concat(touched.reads, touched.writes, touched.enters, []string{v.dest(c)}), func(p string) bool { return strings.HasPrefix(p, baseDir) }) {
			return false
		}
		if v.ownerByName(c) && slices.ContainsFunc(touched.writes, v.mayName(c, t)) {
			return false
		}
		reads := slices.DeleteFunc(slices.Clone(touched.reads), func(p string) bool { return o.there(n, c, t, p) || o.besideTools(b, c, p) })
		writes := slices.DeleteFunc(slices.Clone(touched.writes), func(p string) bool { return (p == effects.System || p == effects.Packages) && o.besideTools(b, c, p) })
		if o.bringsMade(n, c, t, touched.reads) || slices.ContainsFunc(touched.enters, func(dir string) bool { return !v.isMade(dir, min(c, t)) && v.lands(b, c, rooted(dir)) }) {
			return false
		}
		if _, led := o.linked(n, c, t); led {
			return false
		}
		if v.clash(b, c, slices.Concat(reads, writes)) != "" || v.starts(b, c, t) != "" || !v.foldersAgree(c, min(c, t), touched.writes) {
			return false
		}
	}
	return true
}

// accounts are the files that map names of users and groups to numbers.
var accounts = []string{"/etc/passwd", "/etc/group"}

// fixed returns the leading folders of a pattern that contain no wildcard.
func fixed(pattern string) string {
	parts := strings.Split(pattern, "/")
	n := slices.IndexFunc(parts, func(s string) bool { return strings.ContainsAny(s, "*?[") })
	if n < 0 {
		n = len(parts) - 1
	}
	return path.Join(parts[:n]...)
}

// hidden reports whether it is not known what instruction t finds in the folders that it
// searches: instruction c, one above t, or one of a base stage copies something there
// from elsewhere than the context.
func (o *ordering) hidden(b Build, c, t int, searched []string) bool {
	v := o.view
	for i, in := range v.stage.Instructions {
		if (i < t || i == c) && in.Copy != nil && !takesContext(in) && v.clash(b, i, searched) != "" {
			return true
		}
	}
	for at := v.stage.BaseStage; at >= 0; at = v.file.Stages[at].BaseStage {
		under := newStageView(v.file, v.file.Stages[at])
		for i, in := range under.stage.Instructions {
			if in.Copy != nil && under.clash(b, i, searched) != "" {
				return true
			}
		}
	}
	return false
}

// apart reports whether two COPYs or ADDs, i above j, write no path in common.
func (o *ordering) apart(i, j int) bool {
	v := o.view
	x, y := v.stage.Instructions[i], v.stage.Instructions[j]
	for _, k := range []int{i, j} {
		if strings.HasPrefix(v.dest(k), "?") && v.dest(k) != baseDir && !strings.HasPrefix(v.dest(k), baseDir+"/") {
			return false
		}
	}
	if (x.Copy.Chown != y.Copy.Chown || x.Copy.Chmod != y.Copy.Chmod) && !v.foldersAgree(i, i, []string{v.dest(j)}) {
		return false
	}
	for n, b := range o.in.Builds {
		if !reachable(v.file, b.Target)[v.stage.Index] {
			continue
		}
		if _, led := o.linked(n, i, j); led {
			return false
		}
		if v.ownerByName(i) && v.clash(b, j, accounts) != "" || v.ownerByName(j) && v.clash(b, i, accounts) != "" {
			return false
		}
		if slices.ContainsFunc(o.landings(b, j), func(p string) bool { return v.lands(b, i, p) || v.mayReplace(b, i, j, p) }) ||
			slices.ContainsFunc(o.landings(b, i), func(p string) bool { return v.mayReplace(b, j, i, p) }) {
			return false
		}
	}
	return true
}

// landings returns the image paths, of files and of whole folders, that instruction i, a
// COPY or ADD, writes to.
func (o *ordering) landings(b Build, i int) []string {
	if o.in.shared == nil {
		return o.view.landings(b, i)
	}
	key := seen{view: o.view, build: b.id, at: i}
	list, ok := o.in.shared.landings[key]
	if !ok {
		list = o.view.landings(b, i)
		o.in.shared.landings[key] = list
	}
	return list
}

// landings computes the answer of ordering.landings.
func (v *stageView) landings(b Build, i int) []string {
	in := v.stage.Instructions[i]
	dest := rooted(v.dest(i))
	if !takesContext(in) || unpacks(b, in) {
		return []string{dest}
	}
	// Written so, it is always a folder (BuildKit: dockerfile2llb.pathRelativeToWorkingDir).
	folder := strings.HasSuffix(in.Copy.Dest, "/") || in.Copy.Dest == "."
	var list []string
	for _, s := range in.Copy.Sources {
		src := strings.TrimPrefix(strings.TrimSuffix(s, "/"), "./")
		_, err := b.Context.Read(src)
		if err != nil || strings.ContainsAny(s, "*?[") {
			return []string{dest} // it may be a folder, with anything in it
		}
		list = append(list, path.Join(dest, path.Base(src)))
		if len(in.Copy.Sources) == 1 && !folder {
			list = append(list, dest)
		}
	}
	return list
}
