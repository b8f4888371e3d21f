package suggest

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
)

// choose selects the COPYs to move below the installs: those above them that bring more
// than the manifests, and either write where the installs work or bring some of the
// manifests. files are the manifests, as image paths. It reports false if there are none.
func (m *move) choose(b Build, files []string) bool {
	var paths []string
	brings := map[int]bool{}
	for _, name := range files {
		if p, from, ok := m.provider(b, m.last, name); ok {
			paths, brings[from] = append(paths, p), true
		}
	}
	manifests := slices.Concat(m.known, paths, m.usual(b))
	for i, in := range m.view.stage.Instructions[:m.last] {
		if !takesContext(in) || onlyManifests(b.Context, in.Copy, manifests) {
			continue
		}
		dest := m.view.dest(i)
		for _, inst := range m.run.installs {
			_, above := below(dest, inst.dir)
			_, inside := below(inst.dir, dest)
			if above || inside || brings[i] {
				m.moved = append(m.moved, i)
				break
			}
		}
	}
	m.files = paths
	m.follow(b, files)
	return len(m.moved) > 0
}

// usual returns the files of the context that are there for the tools of the installs by their very
// names. Not each is known to be read, above all where an obstacle ended the search for what is.
func (m *move) usual(b Build) (list []string) {
	for _, inst := range m.run.installs {
		look := abovesOf(inst.tool)
		for _, name := range slices.Concat(look.settings, look.root) {
			if p, _, ok := m.provider(b, m.last, path.Join(inst.dir, name)); ok && path.Base(p) == path.Base(name) {
				list = append(list, p)
			}
		}
		if inst.tool == "dotnet" {
			for f := range b.Context.Files() {
				if ext := path.Ext(f); ext == ".props" || ext == ".targets" {
					list = append(list, f)
				}
			}
		}
	}
	return list
}

// follow adds to the moved COPYs those that copy from elsewhere (a stage, a URL) over files
// of a moved one and so have to stay below it, unless an install reads what they bring.
func (m *move) follow(b Build, images []string) {
	if len(m.moved) == 0 {
		return
	}
	images = slices.Clone(images)
	for _, inst := range m.run.installs {
		// These files may come from elsewhere than the context.
		own, _ := m.view.touches(m.last, inst.dir, nil, inst.reads, nil)
		images = slices.Concat(images, inst.main, inst.extra, own.reads)
	}
	for t := m.moved[0] + 1; t < m.last; t++ {
		in := m.view.stage.Instructions[t]
		if in.Copy == nil || takesContext(in) || m.view.clash(b, t, images) != "" {
			continue
		}
		if slices.ContainsFunc(m.moved, func(i int) bool { return i < t && overlap(m.view.dest(i), m.view.dest(t)) }) {
			m.moved = append(m.moved, t)
			slices.Sort(m.moved)
		}
	}
}

// broughtAbove reports whether a COPY that stays above COPY from, which moves, brings the same file to
// the same image path, where nothing changes it until from does.
func (m *move) broughtAbove(b Build, from int, file, image string) bool {
	for i := from - 1; i >= 0; i-- {
		in := m.view.stage.Instructions[i]
		switch {
		case in.Run != nil:
			view := viewRun(m.view, i)
			if !view.known || len(view.installs) > 0 || overlapsAny(view.touch.writes, image) {
				return false
			}
		case in.Copy == nil || slices.Contains(m.moved, i):
		case !takesContext(in):
			if m.view.lands(b, i, image) {
				return false
			}
		case len(m.view.sources(b.Context, i, image)) > 0:
			flags := m.copyFlags(i)
			return len(flags) == len(in.Flags) && slices.Equal(flags, m.copyFlags(from)) && m.view.lays(b.Context, i, file, image)
		}
	}
	return false
}

// lays reports whether instruction i, a COPY, is sure to bring a file to an image path.
func (v *stageView) lays(c Context, i int, file, image string) bool {
	in := v.stage.Instructions[i]
	if !c.Takes(in.Lines.From, file) {
		return false
	}
	dest := v.dest(i)
	inside := strings.HasSuffix(in.Copy.Dest, "/") || path.Base(in.Copy.Dest) == "." || dest == v.dirs[i]
	for _, s := range in.Copy.Sources {
		src := strings.TrimPrefix(path.Clean("/"+s), "/")
		match, err := path.Match(src, file)
		switch {
		case err == nil && match && inside && path.Join(dest, path.Base(file)) == image:
			return true
		case src == file && dest == image && path.Base(dest) == path.Base(file):
			return true
		}
	}
	return false
}

// onlyManifests reports whether a COPY takes only some of these files, or folders that hold no others,
// such as those of a wrapper of Gradle or Maven.
func onlyManifests(c Context, copied *dockerfile.Copy, files []string) bool {
	for _, s := range copied.Sources {
		src := strings.TrimPrefix(path.Clean("/"+s), "/")
		if holdsOnly(c, src, files) {
			continue
		}
		if !slices.ContainsFunc(files, func(f string) bool {
			match, err := path.Match(src, f)
			return src == f || err == nil && match
		}) || globsFolder(c, src) {
			return false
		}
	}
	return true
}

// globsFolder reports whether a pattern matches a folder as well: a COPY then puts its
// content beside the files.
func globsFolder(c Context, pattern string) bool {
	if !strings.ContainsAny(pattern, "*?[") {
		return false
	}
	deep := strings.Count(pattern, "/") + 1
	for f := range c.Files() {
		if parts := strings.Split(f, "/"); len(parts) > deep {
			if match, err := path.Match(pattern, strings.Join(parts[:deep], "/")); err == nil && match {
				return true
			}
		}
	}
	return false
}

// wholeFolder reports whether an install reads all files of a folder. Such a folder is
// copied as a whole: nobody would think of listing a new file in the Dockerfile.
func wholeFolder(dir string) bool {
	return path.Base(dir) == "patches" || yarnFolder.MatchString(dir)
}

// yarnFolder matches folders of files whose names an upgrade of yarn changes.
var yarnFolder = regexp.MustCompile(`(^|/)\.yarn/(releases|plugins(/[^/]+)?)$`)

// holdsOnly reports whether a folder has files, and none but these.
func holdsOnly(c Context, dir string, files []string) bool {
	found := false
	for f := range c.Files() {
		if strings.HasPrefix(f, dir+"/") {
			if !slices.Contains(files, f) {
				return false
			}
			found = true
		}
	}
	return found
}
