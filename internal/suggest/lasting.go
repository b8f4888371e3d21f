package suggest

import (
	"cmp"
	"iter"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/effects"
)

// outdated says what in the cache may be taken for what the sources or the image now have, or
// returns "": caches of builds outlive both, and not all that a result hangs on is part of its key.
func (p *mountPlan) outdated(in Input, st dockerfile.Stage) string {
	switch program := p.tool.Program(); {
	case p.tool.Name == "go build":
		return cmp.Or(p.madeAbove(in, st), p.cHeaders(in, st))
	case program == "gradle":
		return p.keepsResults(in)
	case program == "nuget":
		return p.ownPackages(in)
	case p.tool.Compiled && program != "go":
		return cmp.Or(p.madeAbove(in, st), p.ownArchives(in))
	}
	return ""
}

// makesLibrary matches commands that install a library which was compiled from its sources.
var makesLibrary = regexp.MustCompile(`\b(?:make|ninja)\b[^&|;\n]*\binstall\b|\bcmake\s+--install\b|\bmeson\s+install\b|\bldconfig\b`)

// madeAbove says that the image has a library which the Dockerfile compiles, or returns "".
func (p *mountPlan) madeAbove(in Input, st dockerfile.Stage) string {
	if p.withoutCgo(in, st) {
		return ""
	}
	for _, ins := range instructionsOf(in.File, st.Index) {
		if ins.Run != nil && makesLibrary.MatchString(ins.Run.Given) {
			return "what " + p.tool.Program() + " compiles with the library of `" + short(ins.Text) + "` stays in the cache, also when that changes: give the mount an id of its own for each version"
		}
	}
	return ""
}

// These match what a Go file says of C: that it has some, and that this hangs on files of other
// folders. Of these go does not know (Go: "go help cache").
var (
	cImport  = regexp.MustCompile(`(?m)^import "C"`)
	cOutside = regexp.MustCompile(`(?m)#cgo\b.*(?:-I|-L|pkg-config:|-l(?:[^mcd\s]|[mcd][^\s])|-include)|#include\s*"[^"]*/`)
)

// cHeaders says which Go file of the context is compiled with headers or libraries of other folders,
// or returns "".
func (p *mountPlan) cHeaders(in Input, st dockerfile.Stage) string {
	if p.withoutCgo(in, st) {
		return ""
	}
	for name, text := range contents(in.Builds[0].Context, func(base string) bool { return path.Ext(base) == ".go" }) {
		if cImport.Match(text) && cOutside.Match(text) {
			return name + " is compiled with headers or libraries of other folders: go would not see in its cache when these change"
		}
	}
	return ""
}

// buildCache matches settings and flags that have Gradle keep the results of tasks.
var buildCache = regexp.MustCompile(`org\.gradle\.caching\s*=\s*true|\bbuildCache\b|(?:^|\s)--build-cache\b`)

// keepsResults says by what Gradle keeps results of tasks in its cache, or returns "". A task that
// does not declare all that it reads then gets an old one.
func (p *mountPlan) keepsResults(in Input) string {
	asks := p.asksToKeep(in)
	if asks == "" {
		return ""
	}
	return asks + " has gradle keep the results of tasks in its cache as well: one that does not say all that it reads would get an old one"
}

// asksToKeep returns the instruction or the file that turns Gradle's cache of results on, "" for none.
func (p *mountPlan) asksToKeep(in Input) string {
	settings := slices.Clone(p.runs)
	for _, st := range in.File.Stages {
		for _, ins := range st.Instructions {
			if ins.Keyword == "ENV" {
				settings = append(settings, ins)
			}
		}
	}
	for _, ins := range settings {
		if buildCache.MatchString(ins.Text) {
			return "`" + short(ins.Text) + "`"
		}
	}
	isSettings := func(base string) bool {
		return base == "gradle.properties" || strings.HasPrefix(base, "settings.gradle")
	}
	for name, text := range contents(in.Builds[0].Context, isSettings) {
		if buildCache.Match(text) {
			return name
		}
	}
	return ""
}

// ownSource matches a source of packages, in a command of dotnet, that is a folder.
var ownSource = regexp.MustCompile(`(?:^|\s)(?:-s|--source|--add-source)(?:[ =]|:)["']?[^\s"'$-][^\s:]*(?:\s|$)|RestoreSources|RestoreAdditionalProjectSources`)

// ownPackages says where NuGet gets packages of the project from, or returns "". It takes one that it
// has for the same, if only the version is.
func (p *mountPlan) ownPackages(in Input) string {
	const told = " leads to packages in a folder: nuget keeps them by their version, and would not see that one was made anew"
	for _, ins := range p.runs {
		if ownSource.MatchString(ins.Run.Given) {
			return "`" + short(ins.Text) + "`" + told
		}
	}
	isConfig := func(base string) bool { return strings.EqualFold(base, "nuget.config") }
	isProject := func(base string) bool {
		base = strings.ToLower(base)
		return strings.HasSuffix(base, "proj") || strings.HasSuffix(base, ".props") || strings.HasSuffix(base, ".targets")
	}
	for name, text := range contents(in.Builds[0].Context, func(base string) bool { return isConfig(base) || isProject(base) }) {
		plain := xmlComment.ReplaceAllString(string(text), "")
		if isProject(path.Base(name)) && ownSource.MatchString(plain) || isConfig(path.Base(name)) && sourceInFolder(plain) {
			return name + told
		}
	}
	return ""
}

// sourceInFolder reports whether a NuGet.config has a source of packages that is a folder.
func sourceInFolder(config string) bool {
	_, sources, _ := strings.Cut(config, "<packageSources>")
	sources, _, _ = strings.Cut(sources, "</packageSources>")
	return slices.ContainsFunc(dotnetSource.FindAllStringSubmatch(sources, -1), func(m []string) bool { return !strings.Contains(m[1], "://") })
}

// ownArchives says which package of the sources is kept in the cache under a key that does not change
// with it, or returns "". pip knows an archive by its path, and uv a folder by the time of its
// pyproject.toml.
func (p *mountPlan) ownArchives(in Input) string {
	for _, ins := range p.runs {
		stage, i := placeOf(in.File, ins)
		v := in.bare(in.File.Stages[stage])
		commands, _ := v.everyCommand(i)
		for _, c := range commands {
			if !c.is(p.tool) {
				continue
			}
			for _, w := range c.words[1:] {
				if w = effects.Unquote(w); p.keptByName(w) {
					return p.tool.Program() + " would take " + w + " from its cache, also when the sources have another one"
				}
			}
			if c.starts("uv", "sync") && installsCopy(in.Builds[0].Context, c) {
				return "uv would take the project from its cache while its pyproject.toml is the same: that of the sources may be another one"
			}
		}
	}
	for name, text := range contents(in.Builds[0].Context, func(base string) bool { return path.Ext(base) == ".txt" }) {
		if !strings.Contains(name, "require") {
			continue
		}
		for line := range strings.Lines(decoded(text)) {
			line, _, _ = strings.Cut(strings.TrimSpace(line), ";")
			if !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "-") && isPathRequirement(line) && (p.tool.Program() == "uv" || p.keptByName(strings.Fields(line + " .")[0])) {
				return p.tool.Program() + " would take `" + line + "` in " + name + " from its cache, also when the sources have another one"
			}
		}
	}
	return ""
}

// keptByName reports whether a word names an archive of sources that is a file.
func (p *mountPlan) keptByName(word string) bool {
	return packed.MatchString(word) && !strings.HasSuffix(word, ".whl") && (!strings.Contains(word, "://") || strings.HasPrefix(word, "file:")) && !strings.HasPrefix(word, "-")
}

// installsCopy reports whether a uv sync builds the project, or a package in a folder, and installs
// what comes of it, so that a later change of the sources is not seen.
func installsCopy(context Context, c command) bool {
	if slices.Contains(c.words, "--no-install-workspace") {
		return false
	}
	for name, text := range contents(context, func(base string) bool { return base == "uv.lock" || base == "pyproject.toml" }) {
		if path.Base(name) == "uv.lock" {
			if uvFolder.Match(text) {
				return true
			}
			continue
		}
		var m map[string]any
		if toml.Unmarshal(text, &m) != nil || m["build-system"] == nil || section(m, "tool", "uv")["package"] == false {
			continue
		}
		if slices.Contains(c.words, "--no-editable") && !slices.Contains(c.words, "--no-install-project") {
			return true
		}
	}
	return false
}

// uvFolder matches a package in a uv.lock that is built of a folder.
var uvFolder = regexp.MustCompile(`(?m)^source = \{ directory = `)

// foreign says which folder above a mount would belong to root where it is a user's, or returns "":
// who makes the mount makes the folders above it as well, and the user's programs could write nothing
// else there.
func (p *mountPlan) foreign() string {
	for _, dir := range p.dirs {
		if above := path.Dir(dir); p.owner != "" && above != p.home {
			return above + " would belong to root if nothing makes it before, and " + p.tool.Program() + " may want to write there"
		}
	}
	return ""
}

// contents yields the files of a context whose base names are wanted, with what is in them. Those
// that cannot be read are left out.
func contents(context Context, wanted func(base string) bool) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		for name := range context.Files() {
			if !wanted(path.Base(name)) {
				continue
			}
			if text, err := context.Read(name); err == nil && !yield(name, text) {
				return
			}
		}
	}
}
