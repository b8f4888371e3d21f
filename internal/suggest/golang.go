package suggest

import (
	"path"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
)

// goWiden looks in go.mod for what makes the download read more than it and
// go.sum.
func goWiden(r reader) ([]string, string) {
	if r.exists("go.work") {
		return nil, "go.work is there: the download reads the go.mod of each module that it uses"
	}
	// Not the lax form: that leaves out what dependencies must not say, replace.
	mod, err := modfile.Parse("go.mod", r.file(path.Join(r.dir, "go.mod")), nil)
	if err != nil {
		return nil, "go.mod cannot be read"
	}
	for _, rep := range mod.Replace {
		if rep.New.Version == "" {
			return nil, "go.mod replaces " + rep.Old.Path + " with a folder: the download reads the go.mod there"
		}
	}
	return nil, ""
}

// goBuild reports whether a RUN builds Go code without a download of its own
// before it: then a download can be put in front.
func goBuild(v *stageView, i int) (install, bool) {
	run := v.stage.Instructions[i].Run
	s := parseRun(run, v.shell[i])
	dir := v.dirs[i]
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
