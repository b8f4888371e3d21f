package suggest

import (
	"path"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
)

// goWiden looks in go.mod, and in the go.work that it is part of, for the files of
// other modules that a download reads: the go.mod of each that is used, or that
// replaces another.
func goWiden(r reader) ([]string, string) {
	work := ""
	for dir := r.dir; ; dir = path.Dir(dir) {
		if image := path.Join(dir, "go.work"); r.file(image) != nil {
			work = image
			break
		}
		if dir == "/" || dir == "." || dir == baseDir {
			return goReplaced(r, path.Join(r.dir, "go.mod"))
		}
	}
	f, err := modfile.ParseWork("go.work", r.file(work), nil)
	if err != nil {
		return nil, "go.work cannot be read"
	}
	base := path.Dir(work)
	more := []string{work, path.Join(base, "go.work.sum")}
	for _, use := range f.Use {
		dir, ok := goFolder(base, use.Path)
		if !ok || r.file(path.Join(dir, "go.mod")) == nil {
			return nil, "go.work uses " + use.Path + ", where the context has no go.mod"
		}
		more = append(more, path.Join(dir, "go.mod"), path.Join(dir, "go.sum"))
		replaced, obstacle := goReplaced(r, path.Join(dir, "go.mod"))
		if obstacle != "" {
			return nil, obstacle
		}
		more = append(more, replaced...)
	}
	replaced, obstacle := replacedBy(r, "go.work", base, f.Replace)
	return append(more, replaced...), obstacle
}

// goReplaced returns the go.mod of each folder by which one replaces a module. What
// those replace in turn does not count (Go: modules reference, "replace directive").
func goReplaced(r reader, image string) ([]string, string) {
	// Not the lax form: that leaves out what dependencies must not say, replace.
	mod, err := modfile.Parse("go.mod", r.file(image), nil)
	if err != nil {
		return nil, "go.mod cannot be read"
	}
	return replacedBy(r, "go.mod", path.Dir(image), mod.Replace)
}

func replacedBy(r reader, by, base string, list []*modfile.Replace) (more []string, obstacle string) {
	for _, rep := range list {
		if rep.New.Version != "" {
			continue
		}
		dir, ok := goFolder(base, rep.New.Path)
		if !ok || r.file(path.Join(dir, "go.mod")) == nil {
			return nil, by + " replaces " + rep.Old.Path + " with a folder that the context does not have: " + rep.New.Path
		}
		more = append(more, path.Join(dir, "go.mod"))
	}
	return more, ""
}

// goFolder returns the image folder that a path in go.mod or go.work means; false
// for one that leaves what is known of the image.
func goFolder(base, name string) (string, bool) {
	dir := resolve(base, name, 0)
	return dir, strings.HasPrefix(dir, "/") || dir == baseDir || strings.HasPrefix(dir, baseDir+"/")
}

// goBuild reports whether a RUN builds Go code without a download of its own
// before it: then a download can be put in front.
func goBuild(v *stageView, i int) (install, bool) {
	run := v.stage.Instructions[i].Run
	s := parseRun(run, v.shell[i])
	dir := v.dirs[i]
	if v.shadows(i, "go") {
		return install{}, false
	}
	for _, m := range run.Mounts {
		// Modules that lie in a cache mount are not downloaded again.
		if m.Type != "cache" || !strings.Contains(m.Target, "go-build") {
			return install{}, false
		}
	}
	if slices.ContainsFunc(v.stage.Instructions[i].Flags, func(f string) bool { return !strings.HasPrefix(f, "--mount=") }) {
		return install{}, false
	}
	for _, c := range s.commands {
		if c.starts("go", "build") || c.starts("go", "test") || c.starts("go", "vet") {
			if slices.ContainsFunc(c.words, func(w string) bool { return strings.HasPrefix(w, "-mod") || w == "-C" }) ||
				slices.ContainsFunc(c.assigns, func(a assign) bool { return a.name != "CGO_ENABLED" && a.name != "GOOS" && a.name != "GOARCH" }) {
				return install{}, false
			}
			in, ok := recognise(command{words: []string{"go", "mod", "download"}}, dir)
			in.insert = true
			in.lead(v, i, "go")
			return in, ok
		}
		if !isFree(c) {
			break
		}
	}
	return install{}, false
}

// goNeeds reports whether a download in front of a build would fetch anything:
// the module has requirements with checksums and no vendor folder.
func goNeeds(r reader) bool {
	mod, err := modfile.ParseLax("go.mod", r.file(path.Join(r.dir, "go.mod")), nil)
	return err == nil && len(mod.Require) > 0 && r.exists("go.sum") && !r.exists("vendor/modules.txt")
}
