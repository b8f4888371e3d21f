package scaffold

import (
	"cmp"
	"errors"
	"fmt"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/semver"
)

// golang is the maker of a program in Go.
type golang struct {
	s       *survey
	module  string   // the folder of go.mod
	main    string   // the package to build, relative to module: cmd/api
	mains   []string // all packages main of the module
	work    string   // the folder of go.work; "" for none
	modules []string // manifests of a workspace, or of folders that replace modules, relative to the context
	vendor  bool     // dependencies are vendored
	sums    bool     // there is a go.sum, so that there is something to download
	cgo     string   // the module or file because of which it needs C; "" if it does not
	folders []string // that it opens at run time, relative to module
}

// goApps finds the programs in Go: every package main of every module.
func goApps(s *survey) []App {
	var apps []App
	for _, dir := range s.dirs {
		text := s.read(dir, "go.mod")
		if text == nil {
			continue
		}
		mod, err := modfile.Parse("go.mod", text, nil)
		if err != nil { // it may be of a later Go
			mod, err = modfile.ParseLax("go.mod", text, nil)
		}
		if err != nil || mod.Module == nil {
			continue
		}
		apps = append(apps, moduleApps(s, dir, mod)...)
	}
	return apps
}

// moduleApps returns an app for each package main of a module. If there is only one, its
// Dockerfile is beside go.mod.
func moduleApps(s *survey, dir string, mod *modfile.File) []App {
	mains := goMains(s, dir)
	work := goWork(s, dir)
	var apps []App
	for _, main := range mains {
		g := &golang{s: s, module: dir, work: work, mains: mains}
		a := App{Dir: dir, Context: cmp.Or(work, dir), Language: Go, Tool: "go", Health: "/", maker: g}
		if len(mains) > 1 {
			a.Dir = path.Join(dir, main)
		}
		name := path.Base(main)
		if slices.Contains([]string{".", "cmd", "main", "src"}, name) {
			name = path.Base(mod.Module.Mod.Path)
			if strings.HasPrefix(name, "v") && strings.Trim(name[1:], "0123456789") == "" {
				name = path.Base(path.Dir(mod.Module.Mod.Path))
			}
		}
		a.Name = word(name)
		g.main, a.Entry = main, main
		if strings.HasPrefix(mod.Module.Mod.Path, "github.com/") && plain.MatchString(mod.Module.Mod.Path) {
			parts := strings.Split(mod.Module.Mod.Path, "/")
			a.labels.source = "https://" + strings.Join(parts[:min(3, len(parts))], "/")
		}
		a.labels.title = a.Name
		g.detect(&a, mod)
		apps = append(apps, a)
	}
	return apps
}

// goMains returns the folders with a package main for Linux, relative to the module. Those of
// examples and tools are left out unless there are no others.
func goMains(s *survey, dir string) []string {
	var list []string
	stop := func(d string) bool { return s.has(d, "go.mod") }
	s.sources(dir, []string{".go"}, stop, func(name string, text []byte) bool {
		rel, _ := below(dir, path.Dir(name))
		rel = cmp.Or(rel, ".")
		if strings.HasSuffix(name, "_test.go") || slices.Contains(list, rel) {
			return true
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, text, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil || f.Name.Name != "main" {
			return true
		}
		for _, group := range f.Comments {
			for _, c := range group.List {
				if expr, err := constraint.Parse(c.Text); err == nil && !expr.Eval(func(tag string) bool {
					return tag == "linux" || tag == "unix" || tag == "amd64" || strings.HasPrefix(tag, "go1")
				}) {
					return true // it is a generator, or for another system
				}
			}
		}
		list = append(list, rel)
		return true
	})
	aside := func(main string) bool {
		return slices.ContainsFunc(strings.Split(main, "/"), func(p string) bool {
			return slices.Contains([]string{"example", "examples", "_examples", "tools", "tool", "scripts", "hack", "internal", "test", "e2e"}, p)
		})
	}
	if kept := slices.DeleteFunc(slices.Clone(list), aside); len(kept) > 0 {
		return kept
	}
	return list
}

// goWork returns the folder of the go.work that uses the module in dir; "" if there is none.
func goWork(s *survey, dir string) string {
	for at := dir; ; at = path.Dir(at) {
		if text := s.read(at, "go.work"); text != nil {
			if w, err := modfile.ParseWork("go.work", text, nil); err == nil &&
				slices.ContainsFunc(w.Use, func(u *modfile.Use) bool { return path.Join(at, u.Path) == dir }) {
				return at
			}
		}
		if at == "." {
			return ""
		}
	}
}

// detect sets what is known about the program.
func (g *golang) detect(a *App, mod *modfile.File) {
	file := path.Join(g.module, "go.mod")
	a.say(file, "module %s", mod.Module.Mod.Path)
	if g.main != "." || len(g.mains) > 1 {
		a.say(path.Join(g.module, g.main), "package main")
	}
	g.findVersion(a, mod, file)
	g.vendor = g.s.has(g.module, "vendor/modules.txt")
	if g.vendor {
		a.say(path.Join(g.module, "vendor/modules.txt"), "dependencies are vendored: nothing is downloaded")
	}
	g.sums = g.s.has(g.module, "go.sum")
	g.findWork(a, mod)
	g.findCgo(a, mod, file)
	g.findPort(a, mod, file)
	g.findFolders(a)
}

// findVersion sets the version to the one that go.mod asks for, or to the oldest one that gets
// fixes if that is newer.
func (g *golang) findVersion(a *App, mod *modfile.File, file string) {
	asked := ""
	if mod.Go != nil {
		asked = mod.Go.Version
	}
	if mod.Toolchain != nil {
		asked = strings.TrimPrefix(mod.Toolchain.Name, "go")
	}
	line := strings.TrimPrefix(semver.MajorMinor("v"+asked), "v")
	switch {
	case line == "" || semver.Compare("v"+line, "v"+goOldest) < 0:
		a.Version = goOldest
		a.say(file, "Go %s: go.mod asks for %s or later, and this is the oldest line that is mended", goOldest, cmp.Or(line, "any"))
	default:
		a.Version = line
		a.say(file, "Go %s", line)
	}
}

// findWork finds the manifests of a workspace, or of folders with which go.mod replaces modules:
// a download reads all of them.
func (g *golang) findWork(a *App, mod *modfile.File) {
	add := func(root, dir string) {
		for _, name := range []string{"go.mod", "go.sum"} {
			if at := path.Join(root, dir, name); g.s.has(".", at) {
				rel, ok := below(a.Context, at)
				if ok && plain.MatchString(rel) && !slices.Contains(g.modules, rel) {
					g.modules = append(g.modules, rel)
				}
			}
		}
	}
	if g.work != "" {
		a.say(path.Join(g.work, "go.work"), "a workspace: it is built from %s", a.contextName())
		g.modules = []string{"go.work"}
		if g.s.has(g.work, "go.work.sum") {
			g.modules = append(g.modules, "go.work.sum")
		}
		if w, err := modfile.ParseWork("go.work", g.s.read(g.work, "go.work"), nil); err == nil {
			for _, u := range w.Use {
				add(g.work, u.Path)
			}
		}
		return
	}
	var folders []string
	for _, r := range mod.Replace {
		if r.New.Version == "" && !path.IsAbs(r.New.Path) && !strings.HasPrefix(path.Join(g.module, r.New.Path), "..") {
			folders = append(folders, r.New.Path)
			if strings.HasPrefix(path.Clean(r.New.Path), "..") {
				a.Context = "." // the folder is outside of the module
			}
			a.say(path.Join(g.module, "go.mod"), "replaces %s by a folder", r.Old.Path)
		}
	}
	if len(folders) > 0 {
		add(g.module, ".")
	}
	for _, dir := range folders {
		add(g.module, dir)
	}
}

// cgoModules returns well-known modules that need C.
func cgoModules() []string {
	return []string{"github.com/mattn/go-sqlite3", "github.com/confluentinc/confluent-kafka-go", "github.com/confluentinc/confluent-kafka-go/v2",
		"gopkg.in/gographics/imagick.v3", "github.com/h2non/bimg", "github.com/davidbyttow/govips/v2", "github.com/tecbot/gorocksdb", "github.com/linxGNU/grocksdb",
		"github.com/marcboeker/go-duckdb", "github.com/marcboeker/go-duckdb/v2", "gocv.io/x/gocv", "github.com/godror/godror", "github.com/gen2brain/go-fitz"}
}

var importC = regexp.MustCompile(`(?m)^(?:import\s+|\s+)"C"\s*$`)

// findCgo finds out whether the program needs C, by the requirements and files of the module.
func (g *golang) findCgo(a *App, mod *modfile.File, file string) {
	for _, r := range mod.Require {
		if slices.Contains(cgoModules(), r.Mod.Path) {
			g.cgo = r.Mod.Path
			a.say(file, "needs C: %s", r.Mod.Path)
			return
		}
	}
	if r := g.s.search(g.module, []string{".go"}, g.foreign, importC)[0]; r.path != "" {
		g.cgo = r.path
		a.say(r.path, `needs C: import "C"`)
	}
}

// foreign reports whether a folder is of another module.
func (g *golang) foreign(dir string) bool { return g.s.has(dir, "go.mod") }

var (
	// Addresses with a host are left out, because they are usually of another program.
	goPort   = regexp.MustCompile(`"(?:0\.0\.0\.0)?:(\d{4,5})"|(?:Listen\w*|Serve|Run|Start)\([^"\n]*"[\w.]*:(\d{4,5})"|[pP]ort\w*\s*:?=\s*"?(\d{4,5})\b|"PORT", "(\d{4,5})"`)
	goHealth = regexp.MustCompile(`"(?:GET )?(/(?:api/)?(?:healthz?|livez|readyz|ping)(?:/(?:live|ready))?)"`)
	goServes = regexp.MustCompile(`ListenAndServe|net\.Listen\(|\.Listen\(|gin\.Default|echo\.New|fiber\.New|\.Run\("`)
	goOpens  = regexp.MustCompile(`"(?:\./)?(templates|static|public|web|assets|views|migrations|locales|configs?)(?:/[^"\n]*)?"`)
	goEmbed  = regexp.MustCompile(`(?m)^//go:embed\s+(.*)$`)
)

// findPort finds the port that the program listens on, and the path of its health check. Its own
// package counts more than others of the module, which several programs may share.
func (g *golang) findPort(a *App, mod *modfile.File, file string) {
	own := path.Join(g.module, g.main)
	near := g.s.search(own, []string{".go"}, g.foreign, goPort, goHealth, goServes)
	far := g.s.search(g.module, []string{".go"}, g.foreign, goPort, goHealth, goServes)
	for i := range near {
		if near[i].path == "" && len(g.mains) == 1 {
			near[i] = far[i]
		}
	}
	if near[1].path == "" {
		near[1] = far[1]
	}
	switch {
	case near[2].path == "" && far[2].path == "":
		return // it does not listen
	case near[0].path != "":
		a.Port, _ = strconv.Atoi(cmp.Or(near[0].groups...))
		a.say(near[0].path, "port %d", a.Port)
	case near[2].path != "":
		a.Port = 8080
		a.say(near[2].path, "it listens, port 8080 by custom")
	default:
		return
	}
	if near[1].path != "" {
		a.Health = near[1].groups[0]
		a.say(near[1].path, "health at %s", a.Health)
	}
	for _, fw := range []struct{ module, name string }{{"github.com/gin-gonic/gin", "gin"}, {"github.com/labstack/echo/v4", "echo"}, {"github.com/gofiber/fiber/v2", "fiber"}, {"github.com/go-chi/chi/v5", "chi"}} {
		if slices.ContainsFunc(mod.Require, func(r *modfile.Require) bool { return r.Mod.Path == fw.module }) {
			a.Framework = fw.name
			a.say(file, "%s", fw.name)
		}
	}
}

// findFolders finds folders that the program opens at run time, and that are not embedded in it.
func (g *golang) findFolders(a *App) {
	var embedded strings.Builder
	var opened []string
	g.s.sources(g.module, []string{".go"}, g.foreign, func(name string, text []byte) bool {
		if isTest(name) {
			return true
		}
		for _, m := range goEmbed.FindAllSubmatch(text, -1) {
			embedded.Write(m[1])
			embedded.WriteByte(' ')
		}
		for _, m := range goOpens.FindAllSubmatch(text, -1) {
			if dir := string(m[1]); g.s.isDir(g.module, dir) && !slices.Contains(opened, dir) {
				opened = append(opened, dir)
				a.say(name, "opens %s when it runs", dir)
			}
		}
		return true
	})
	for _, dir := range opened {
		if !strings.Contains(embedded.String(), dir) && len(g.s.matching(path.Join(g.module, dir), "*.go")) == 0 {
			g.folders = append(g.folders, dir)
		}
	}
	slices.Sort(g.folders)
	a.Evidence = slices.DeleteFunc(a.Evidence, func(e Evidence) bool {
		dir, ok := strings.CutSuffix(strings.TrimPrefix(e.Says, "opens "), " when it runs")
		return ok && !slices.Contains(g.folders, dir)
	})
}

// started implements maker: entry is the folder of a package main.
func (g *golang) started(a *App, entry string) error {
	entry = path.Clean(strings.TrimPrefix(entry, "./"))
	if !slices.Contains(g.mains, entry) {
		return fmt.Errorf("there is no package main in %s: %w", entry, errors.New("known are "+strings.Join(g.mains, ", ")))
	}
	g.main, a.Entry = entry, entry
	return nil
}
