package suggest

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/effects"
)

// run returns what is known of RUN i.
func (o *ordering) run(i int) runView {
	r, ok := o.runs[i]
	if !ok {
		if o.runs == nil {
			o.runs = map[int]runView{}
		}
		r = viewRun(o.view, i)
		// Where there is nothing at first, all programs are copied.
		r.known = r.known && imageName(rootStage(o.view.file, o.view.stage.Index).Base) != "scratch"
		o.runs[i] = r
	}
	return r
}

// disjoint reports whether RUN i, which stands above RUN j, may stand below it: both are
// known, and neither writes where the other reads or writes.
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
		// Whoever the upper one names is there without what the lower one installs, or else
		// the build fails.
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

// agree reports whether it makes no difference which of two RUNs, the upper one of which is
// instruction at, makes the folders that both write into or enter.
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

// sharesCache reports two RUNs that may find each other's files in a cache mount: what
// its name is does not say where it lies.
func sharesCache(a, b *dockerfile.Run) bool {
	return slices.ContainsFunc(a.Mounts, func(m dockerfile.Mount) bool {
		return m.Type == "cache" && slices.ContainsFunc(b.Mounts, func(o dockerfile.Mount) bool { return o.Type == "cache" })
	})
}

func notPlace(p string) bool {
	_, ok := effects.PlacesOf(p)
	return !ok
}

// meet reports whether something that is written may be in one of the other places, which
// are only read, or written as well.
func meet(written, others []string, read bool) bool {
	return slices.ContainsFunc(written, func(w string) bool {
		return slices.ContainsFunc(others, func(p string) bool { return meets(w, p, read) })
	})
}

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

// inPlaces reports whether a path may be one of places, or above one.
func inPlaces(places effects.Places, name string) bool {
	name = folderOf(rooted(name))
	if slices.ContainsFunc(places.Except, func(e string) bool { _, in := below(e, name); return in }) {
		return false
	}
	return slices.ContainsFunc(places.Roots, func(root string) bool { return overlap(root, name) })
}

// heedless reports whether it makes no difference to RUN r, or by it, whether it stands
// above or below instruction k, which neither runs nor copies anything.
func (o *ordering) heedless(r, k int) bool {
	v := o.view
	in := v.stage.Instructions[k]
	switch in.Keyword {
	case "LABEL", "EXPOSE", "CMD", "ENTRYPOINT", "HEALTHCHECK", "STOPSIGNAL", "MAINTAINER":
		return true
	case "WORKDIR":
		dir := resolve(v.dirs[k], expand(in.Value, v.env[k]), v.vars(k))
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

// plain reports a RUN that works on files that it names in full, and with programs that
// take no settings: in which folder it runs, and with what environment, is all the same
// to it.
func (o *ordering) plain(r int) bool {
	v := o.view
	run := o.run(r)
	if !run.known || len(run.installs) > 0 || len(v.stage.Instructions[r].Run.Mounts) > 0 || strings.Contains(v.stage.Instructions[r].Run.Given, "PWD") {
		return false
	}
	elsewhere := *v
	elsewhere.dirs = slices.Clone(v.dirs)
	elsewhere.dirs[r] = "/elsewhere"
	again := viewRun(&elsewhere, r)
	if !slices.Equal(run.touch.reads, again.touch.reads) || !slices.Equal(run.touch.writes, again.touch.writes) {
		return false
	}
	return !slices.ContainsFunc(slices.Concat(run.touch.reads, run.touch.writes), func(p string) bool { return !notPlace(p) })
}

// isBeside reports a file among the programs that none of those is which tools run.
func isBeside(name string) bool {
	return slices.Contains(binFolders, path.Dir(name)) && !effects.Program(path.Base(name)) && !strings.ContainsAny(name, "*?[")
}

// besideTools reports whether p stands for places, and instruction c, a COPY or ADD,
// brings files none of which is in them; those that tools do not run do not count.
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

// broughtFiles returns the image paths of the files that instruction c, a COPY or ADD,
// brings; nil where they are not known. What it takes of another stage counts as a file.
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
			name = dest // and if it is a folder, nothing looks for programs in it
		}
		files = append(files, name)
	}
	return files
}

// doubt says what is not known of instruction j, which stands below i, that would have to
// be for it to stand above; "" where it is known that it may, or that it may not.
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
	case unknown:
		return fmt.Sprintf("`%s` on line %s is not known: it may write what `%s` reads, or read what that writes", short(a.Text), a.Lines, short(b.Text))
	}
	return ""
}

// there reports whether RUN t reads in build n the very file at an image path that
// instruction c, which copies it, finds there already: another COPY above brought it,
// and nothing between the two changes it.
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

// bringsMade reports whether RUN t reads in build n what a RUN above makes, and developers
// make as well, which instruction c would then copy over it.
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

// mayChange reports whether RUN k may write to a file in build n.
func (o *ordering) mayChange(n, k int, image string) bool {
	run := o.run(k)
	if !run.known {
		return true
	}
	s := o.look(n, k, run)
	keeps := !slices.ContainsFunc(run.installs, func(inst install) bool { return !inst.keeps })
	return !s.ok || !keeps && slices.Contains(s.touched.reads, image) || meet(s.touched.writes, []string{image}, false)
}
