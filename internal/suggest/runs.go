package suggest

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/effects"
)

// run returns the view of instruction i, a RUN.
func (o *ordering) run(i int) runView {
	r, ok := o.runs[i]
	if !ok {
		if o.runs == nil {
			o.runs = map[int]runView{}
		}
		r = viewRun(o.view, i)
		// In an image that starts from scratch all programs are copied, and may be any.
		r.known = r.known && imageName(rootStage(o.view.file, o.view.stage.Index).Base) != "scratch"
		o.runs[i] = r
	}
	return r
}

// disjoint reports whether RUN i may be moved below RUN j, which stands below it: both are
// known, and in no build one writes what the other reads or writes.
func (o *ordering) disjoint(i, j int) bool {
	upper, lower := o.run(i), o.run(j)
	if !upper.known || !lower.known {
		return false
	}
	for n, b := range o.in.Builds {
		if !reachable(o.view.file, b.Target)[o.view.stage.Index] {
			continue
		}
		a, b := o.look(n, i, upper), o.look(n, j, lower)
		if !a.ok || !b.ok {
			return false
		}
		if !o.view.startsAtRoot() && slices.ContainsFunc(slices.Concat(a.touched.reads, a.touched.writes, b.touched.reads, b.touched.writes), func(p string) bool { return strings.HasPrefix(p, baseDir) }) {
			return false
		}
		if !o.view.agree(a.touched, b.touched, i) || sharesCache(o.view.stage.Instructions[i].Run, o.view.stage.Instructions[j].Run) {
			return false
		}
		// Users that the upper one names exist without what the lower one installs: if
		// not, the build would fail today, unless the script tolerates that.
		tolerant := strings.ContainsAny(o.view.stage.Instructions[i].Run.Given, ";|\n")
		named := slices.DeleteFunc(slices.Clone(a.touched.reads), func(p string) bool { return !tolerant && slices.Contains(accounts, p) })
		places := slices.DeleteFunc(slices.Clone(b.touched.writes), notPlace)
		paths := slices.DeleteFunc(slices.Clone(b.touched.writes), func(p string) bool { return !notPlace(p) })
		if meet(places, named, true) || meet(paths, a.touched.reads, true) || meet(a.touched.writes, b.touched.reads, true) || meet(a.touched.writes, b.touched.writes, false) {
			return false
		}
	}
	return true
}

// agree reports whether all folders that contain paths of two RUNs exist before instruction at,
// the upper one, so that it does not matter which of the two would create them.
func (v *stageView) agree(upper, lower touch, at int) bool {
	for _, p := range slices.Concat(upper.writes, upper.enters) {
		if !notPlace(p) {
			continue
		}
		for _, q := range slices.Concat(lower.writes, lower.enters) {
			if notPlace(q) && !v.isMade(inCommon(rooted(p), rooted(q)), at) {
				return false
			}
		}
	}
	return true
}

// sharesCache reports whether two RUNs may share a cache mount. If both have one they may,
// as one cache may be mounted at different paths.
func sharesCache(a, b *dockerfile.Run) bool {
	return slices.ContainsFunc(a.Mounts, func(m dockerfile.Mount) bool {
		return m.Type == "cache" && slices.ContainsFunc(b.Mounts, func(o dockerfile.Mount) bool { return o.Type == "cache" })
	})
}

// notPlace reports whether p is a path, and not a name that effects.PlacesOf knows.
func notPlace(p string) bool {
	_, ok := effects.PlacesOf(p)
	return !ok
}

// meet reports whether one of the written paths may overlap one of the others. read says that
// the others are only read.
func meet(written, others []string, read bool) bool {
	return slices.ContainsFunc(written, func(w string) bool {
		return slices.ContainsFunc(others, func(p string) bool { return meets(w, p, read) })
	})
}

// meets is meet for a single pair of paths.
func meets(written, other string, read bool) bool {
	of, places := effects.PlacesOf(written)
	in, others := effects.PlacesOf(other)
	switch {
	case places && others:
		return true
	case places:
		return inPlaces(of, other)
	case others:
		return inPlaces(in, written) && !(read && other == effects.Tools && isBeside(rooted(written)))
	}
	return overlap(folderOf(rooted(written)), folderOf(rooted(other)))
}

// inPlaces reports whether a path may be in one of the folders of places, or contain one.
func inPlaces(places effects.Places, name string) bool {
	name = folderOf(rooted(name))
	if slices.ContainsFunc(places.Except, func(e string) bool { _, in := below(e, name); return in }) {
		return false
	}
	return slices.ContainsFunc(places.Roots, func(root string) bool { return overlap(root, name) })
}

// heedless reports whether the order of RUN r and instruction k, which is neither RUN nor COPY
// nor ADD, does not matter.
func (o *ordering) heedless(r, k int) bool {
	v := o.view
	in := v.stage.Instructions[k]
	switch in.Keyword {
	case "LABEL", "EXPOSE", "CMD", "ENTRYPOINT", "HEALTHCHECK", "STOPSIGNAL", "MAINTAINER":
		return true
	case "WORKDIR":
		dir := resolve(v.dirs[k], v.path(in.Value, v.env[k]), v.vars(k))
		run := o.run(r)
		return path.IsAbs(dir) && o.plain(r) && v.agree(run.touch, touch{writes: []string{dir}}, min(r, k)) &&
			!slices.ContainsFunc(slices.Concat(run.touch.reads, run.touch.writes, run.touch.enters), func(p string) bool { return overlap(folderOf(rooted(p)), dir) })
	case "ENV", "ARG":
		return o.plain(r) && !slices.ContainsFunc(in.Vars, func(a dockerfile.Variable) bool {
			return steers(a.Name) || assign{name: a.Name}.decides() || strings.HasPrefix(a.Name, "LC_") || a.Name == "LANG" || strings.Contains(v.stage.Instructions[r].Run.Given, a.Name)
		})
	}
	return false
}

// plain reports whether RUN r does the same in any working folder and with any environment: it
// has only absolute paths and runs only programs without settings.
func (o *ordering) plain(r int) bool {
	v := o.view
	run := o.run(r)
	if !run.known || len(run.installs) > 0 || len(v.stage.Instructions[r].Run.Mounts) > 0 || strings.Contains(v.stage.Instructions[r].Run.Given, "PWD") {
		return false
	}
	elsewhere := *v
	elsewhere.dirs, elsewhere.programs, elsewhere.runs, elsewhere.commands = slices.Clone(v.dirs), nil, nil, nil
	elsewhere.dirs[r] = "/elsewhere"
	again := viewRun(&elsewhere, r)
	if !slices.Equal(run.touch.reads, again.touch.reads) || !slices.Equal(run.touch.writes, again.touch.writes) {
		return false
	}
	return !slices.ContainsFunc(slices.Concat(run.touch.reads, run.touch.writes), func(p string) bool { return !notPlace(p) })
}

// isBeside reports whether a path is that of a program which no tool runs, in a folder of
// programs.
func isBeside(name string) bool {
	return slices.Contains(binFolders, path.Dir(name)) && !effects.Program(path.Base(name)) && !strings.ContainsAny(name, "*?[")
}

// besideTools reports, in a speculative search, whether p is a name that effects.PlacesOf knows
// and the files that instruction c copies are known to be in none of its folders, apart from
// programs that no tool runs.
func (o *ordering) besideTools(b Build, c int, p string) bool {
	places, ok := effects.PlacesOf(p)
	if !ok || !o.trusts {
		return false
	}
	brought := o.view.broughtFiles(b, c)
	return len(brought) > 0 && !slices.ContainsFunc(brought, func(name string) bool {
		return inPlaces(places, name) && !(p == effects.Tools && isBeside(name))
	})
}

// broughtFiles returns the image paths of the files that instruction c, a COPY, brings, or nil
// if they are not known. A source from another stage is taken to be a file.
func (v *stageView) broughtFiles(b Build, c int) (files []string) {
	in := v.stage.Instructions[c]
	dest := rooted(v.dest(c))
	folder := strings.HasSuffix(in.Copy.Dest, "/") || len(in.Copy.Sources) > 1 || slices.Contains(binFolders, dest)
	if in.Copy.Heredocs > 0 || in.Copy.Parents || in.Keyword == "ADD" || len(in.Copy.Sources) == 0 {
		return nil
	}
	for _, s := range in.Copy.Sources {
		src := path.Clean("/" + s)
		name := path.Join(dest, path.Base(src))
		switch {
		case strings.ContainsAny(s, "*?[$") || strings.HasSuffix(s, "/"):
			return nil
		case takesContext(in) && !b.Context.IsFile(src[1:]):
			return nil
		case !folder:
			name = dest // if it is a folder, it is not one of programs
		}
		files = append(files, name)
	}
	return files
}

// doubt says what would have to be known for instruction j to be moved above instruction i,
// which stands above it. It returns "" if it is known that j may be moved, or that it may not.
func (o *ordering) doubt(i, j int) string {
	v := o.view
	a, b := v.stage.Instructions[i], v.stage.Instructions[j]
	unknown := a.Run != nil && !o.run(i).known
	switch {
	case b.Run == nil && unknown && (b.Keyword == "ENV" || b.Keyword == "ARG"):
		if !slices.ContainsFunc(b.Vars, func(set dockerfile.Variable) bool {
			return steers(set.Name) || assign{name: set.Name}.decides() || strings.Contains(a.Run.Given, set.Name)
		}) {
			return fmt.Sprintf("`%s` on line %s would see what %s on line %s sets", short(a.Text), a.Lines, b.Keyword, b.Lines)
		}
	case b.Run == nil || !o.run(j).known || len(o.run(j).installs) > 0:
	case unknown && !o.feeds(i, j):
		return fmt.Sprintf("`%s` on line %s is not known: it may write what `%s` reads, or read what that writes", short(a.Text), a.Lines, short(b.Text))
	}
	return ""
}

// there reports whether, in build n, instruction c copies a file to an image path that has the
// same file already, so that RUN t may read it without c: another COPY above brings it, and
// nothing between the two changes it.
func (o *ordering) there(n, c, t int, image string) bool {
	v, b := o.view, o.in.Builds[n]
	if c > t || !takesContext(v.stage.Instructions[c]) || !notPlace(image) {
		return false
	}
	m := &move{view: v, last: c, context: b.Context}
	p, from, ok := m.provider(b, c, image)
	if !ok {
		return false
	}
	again, last, ok := m.provider(b, c+1, image)
	x, y := v.stage.Instructions[from].Copy, v.stage.Instructions[c].Copy
	if !ok || last != c || again != p || !b.Context.IsFile(p) || x.Chown != y.Chown || x.Chmod != y.Chmod {
		return false
	}
	for k := from + 1; k < c; k++ {
		switch in := v.stage.Instructions[k]; {
		case in.Copy != nil && v.lands(b, k, rooted(image)), in.Run != nil && o.mayChange(n, k, image):
			return false
		}
	}
	return true
}

// bringsMade reports whether, in build n, RUN t reads a file that a RUN above makes and that
// instruction c would write over if the context had it, as it may since developers build too.
func (o *ordering) bringsMade(n, c, t int, reads []string) bool {
	v, b := o.view, o.in.Builds[n]
	for k, in := range v.stage.Instructions[:t] {
		if in.Run == nil || c > t {
			continue
		}
		if slices.ContainsFunc(o.look(n, k, o.run(k)).touched.writes, func(made string) bool {
			return notPlace(made) && v.brings(b, c, made) && slices.ContainsFunc(reads, func(p string) bool { return notPlace(p) && meets(made, p, true) })
		}) {
			return true
		}
	}
	return false
}

// mayChange reports whether, in build n, RUN k may write to an image path.
func (o *ordering) mayChange(n, k int, image string) bool {
	run := o.run(k)
	if !run.known {
		return true
	}
	s := o.look(n, k, run)
	keeps := !slices.ContainsFunc(run.installs, func(inst install) bool { return !inst.keeps })
	return !s.ok || !keeps && slices.Contains(s.touched.reads, image) || meet(s.touched.writes, []string{image}, false)
}
