package suggest

import (
	"bytes"
	"cmp"
	"path"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
)

// goWiden returns what a download of Go modules reads beside go.mod and go.sum: the go.mod of
// modules in the context that replace others, and the go.work above with the modules that it
// uses.
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

// goReplaced returns the go.mod of each folder with which the go.mod at an image path replaces a
// module. Replacements in those do not count (Go: modules reference, "replace directive").
func goReplaced(r reader, image string) ([]string, string) {
	// ParseLax would skip replacements.
	mod, err := modfile.Parse("go.mod", r.file(image), nil)
	if err != nil {
		return nil, "go.mod cannot be read"
	}
	return replacedBy(r, "go.mod", path.Dir(image), mod.Replace)
}

// replacedBy is goReplaced for the replacements of a go.mod or go.work in the image folder base.
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

// goFolder returns the image folder that a path in a go.mod or go.work means. It reports false
// for one above the base image's working folder, if that is not known.
func goFolder(base, name string) (string, bool) {
	dir := resolve(base, name, 0)
	return dir, strings.HasPrefix(dir, "/") || dir == baseDir || strings.HasPrefix(dir, baseDir+"/")
}

// goBuild returns the `go mod download` that can be inserted above instruction i, a RUN in which Go
// downloads modules as well, since it compiles with them or tidies go.mod. It reports false if the RUN does not, or
// if the download might fetch other modules.
func goBuild(v *stageView, i int) (install, bool) {
	ins := v.stage.Instructions[i]
	if v.shadows(i, "go") {
		return install{}, false
	}
	for _, m := range ins.Run.Mounts {
		// With a cache mount for modules, they are not downloaded again anyway.
		if m.Type != "cache" || !strings.Contains(m.Target, "go-build") {
			return install{}, false
		}
	}
	if slices.ContainsFunc(ins.Flags, func(f string) bool { return !strings.HasPrefix(f, "--mount=") }) {
		return install{}, false
	}
	commands := parseRun(ins.Run, v.shell[i]).commands
	n := slices.IndexFunc(commands, func(c command) bool { return !isFree(c) })
	if n < 0 || !fetches(commands[n]) {
		return install{}, false
	}
	c := commands[n]
	if slices.ContainsFunc(c.words, func(w string) bool { return strings.HasPrefix(w, "-mod") || w == "-C" }) ||
		slices.ContainsFunc(c.assigns, func(a assign) bool { return a.name != "CGO_ENABLED" && a.name != "GOOS" && a.name != "GOARCH" }) {
		return install{}, false
	}
	in, ok := recognise(command{words: []string{"go", "mod", "download"}}, v.dirs[i])
	in.insert = true
	own := in.widen
	in.widen = func(r reader) ([]string, string) {
		more, obstacle := own(r)
		return more, cmp.Or(obstacle, v.goPrivate(i, r))
	}
	in.lead(v, i, "go")
	return in, ok
}

// keepsGo reports whether it is the Go of the base image that runs, whichever a go.mod asks for: the
// official images set GOTOOLCHAIN to local, or are older than that variable.
func (v *stageView) keepsGo() bool {
	return imageName(rootStage(v.file, v.stage.Index).Base) == "golang" && !bytes.Contains(v.file.Text, []byte("GOTOOLCHAIN"))
}

// goRewrites says that a download writes to the go.mod of its folder, which the sources would bring
// back below it, or returns "".
func goRewrites(r reader) string {
	mod, err := modfile.ParseLax("go.mod", r.local("go.mod"), nil)
	if err == nil && mod.Go == nil && len(mod.Require) > 0 {
		return "go.mod has no line with the version of go: `go mod download` writes one, and what else it finds to be missing"
	}
	return ""
}

// goPrivate says which module that needs leave, or is on no proxy, a download above instruction i
// would fetch, or returns "". A build fetches only modules with packages that it compiles.
func (v *stageView) goPrivate(i int, r reader) string {
	mod, err := modfile.ParseLax("go.mod", r.file(path.Join(r.dir, "go.mod")), nil)
	if err != nil || len(mod.Require) == 0 {
		return ""
	}
	patterns := r.env["GOPRIVATE"] + "," + r.env["GONOPROXY"]
	for _, in := range append(instructionsOf(v.file, v.stage.BaseStage), v.stage.Instructions[:i+1]...) {
		if in.Run != nil && (strings.Contains(in.Run.Given, "GOPRIVATE") || strings.Contains(in.Run.Given, "GONOPROXY")) {
			patterns = "*" // it is not known which
		}
	}
	if strings.Contains(patterns, "$") {
		patterns = "*"
	}
	for _, m := range mod.Require {
		if module.MatchPrefixPatterns(strings.ReplaceAll(strings.Trim(patterns, `"'`), `"`, ""), m.Mod.Path) {
			return "`go mod download` would also fetch private modules that the build may not need, such as " + m.Mod.Path
		}
	}
	return ""
}

// fetches reports whether Go compiles in a command, or looks at all packages, for which it downloads
// modules.
func fetches(c command) bool {
	return c.starts("go", "build") || c.starts("go", "test") || c.starts("go", "vet") || c.starts("go", "mod", "tidy")
}

// goNeeds reports whether a download above a build would fetch anything: the module has
// requirements and checksums of them, and no vendor folder.
func goNeeds(r reader) bool {
	mod, err := modfile.ParseLax("go.mod", r.file(path.Join(r.dir, "go.mod")), nil)
	return err == nil && len(mod.Require) > 0 && r.exists("go.sum") && !r.exists("vendor/modules.txt")
}
