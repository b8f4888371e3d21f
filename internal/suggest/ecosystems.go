package suggest

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// cargoWiden: cargo reads the manifest of every path dependency and workspace
// member. It looks for each target whose path is not written down, and takes a
// package for empty if there is none (cargo: util/toml/targets.rs).
func cargoWiden(r reader) ([]string, string) {
	var m struct {
		Workspace map[string]any
		Lib       map[string]any
		Bin       []map[string]any
		Example   []map[string]any
		Test      []map[string]any
		Bench     []map[string]any
		Package   map[string]any
		Target    map[string]any
		Patch     map[string]any
		Deps      map[string]any `toml:"dependencies"`
		DevDeps   map[string]any `toml:"dev-dependencies"`
		BuildDeps map[string]any `toml:"build-dependencies"`
	}
	if err := toml.Unmarshal(r.local("Cargo.toml"), &m); err != nil {
		return nil, "Cargo.toml cannot be read"
	}
	switch {
	case m.Workspace != nil:
		return nil, "Cargo.toml is of a workspace: cargo reads the manifest, and the targets, of each member"
	case m.Lib == nil && len(m.Bin) == 0:
		return nil, "cargo takes the package for empty without src/main.rs or src/lib.rs: name the target in Cargo.toml, or use cargo-chef"
	case m.Lib != nil && m.Lib["path"] == nil || slices.ContainsFunc(slices.Concat(m.Bin, m.Example, m.Test, m.Bench), func(t map[string]any) bool { return t["path"] == nil }):
		return nil, "cargo looks for the file of each target in Cargo.toml that has no path: write the path down, or use cargo-chef"
	case !r.exists("Cargo.lock"):
		return nil, "cargo would write a Cargo.lock, and the context has none"
	}
	for _, set := range []map[string]any{m.Deps, m.DevDeps, m.BuildDeps, m.Target, m.Patch} {
		if name := pathIn(set); name != "" {
			return nil, "Cargo.toml depends on a path of the sources: " + name
		}
	}
	for _, name := range []string{".cargo/config.toml", ".cargo/config"} {
		if at := cargoPlace.FindStringSubmatch(string(r.local(name))); at != nil {
			return nil, name + " leads to packages among the sources: " + at[1]
		}
	}
	return nil, ""
}

// cargoPlace finds what in cargo's settings names a folder of packages.
var cargoPlace = regexp.MustCompile(`(?m)^[^#\n]*(\b(?:directory|local-registry|paths|path|include)\s*=|file://)`)

// pathIn returns the name under which a table, at any depth, names a path.
func pathIn(table any) string {
	switch t := table.(type) {
	case map[string]any:
		for name, value := range t {
			switch name {
			case "path", "file", "editable", "workspace", "develop":
				if value != false {
					return name
				}
			}
			if at := pathIn(value); at != "" {
				return name
			}
		}
	case []any:
		for _, value := range t {
			if at := pathIn(value); at != "" {
				return at
			}
		}
	case string:
		if strings.Contains(t, "file:") || strings.HasPrefix(t, "-e ") {
			return t
		}
	}
	return ""
}

var (
	mavenParent   = regexp.MustCompile(`(?s)<parent>(.*?)</parent>`)
	mavenRelative = regexp.MustCompile(`<relativePath>\s*([^<]*?)\s*</relativePath>`)
	mavenModule   = regexp.MustCompile(`<module>\s*([^<]+?)\s*</module>`)
	// mavenOpen finds what leads to files other than poms: of packages, and those
	// whose presence decides.
	mavenPlace = regexp.MustCompile(`(?m)(?:^|\s)(-s|--settings|-gs|--global-settings|-f|--file|-t|--toolchains|-gt|--global-toolchains|-Dmaven\.repo\.local)\S*`)
	mavenOpen  = regexp.MustCompile(`<systemPath>|<exists>|<missing>|\$\{(?:project\.)?basedir\}|\$\{maven\.multiModuleProjectDirectory\}|file:`)
)

// mavenWiden: a pom reads its modules' and, through relativePath, its parent's, and
// so do these; a parent's modules are its own affair.
func mavenWiden(r reader, launcher string) ([]string, string) {
	if at := mavenPlace.FindString(string(r.local(".mvn/maven.config"))); at != "" {
		return nil, ".mvn/maven.config leads to other files: " + strings.TrimSpace(at)
	}
	more := launched(r, launcher, ".mvn/wrapper/*")
	type pom struct {
		image  string
		parent bool
	}
	seen := map[pom]bool{}
	for queue := []pom{{image: path.Join(r.dir, "pom.xml")}}; len(queue) > 0; {
		p := queue[0]
		queue = queue[1:]
		if seen[p] {
			continue
		}
		seen[p] = true
		more = append(more, p.image)
		text := string(r.file(p.image))
		if at := mavenOpen.FindString(text); at != "" {
			return nil, "pom.xml leads to other files of the sources: " + strings.Trim(at, "<>")
		}
		if parent, ok := parentPom(text); ok {
			image := pomAt(p.image, parent)
			if r.file(image) != nil {
				queue = append(queue, pom{image, true})
			} else if parent != "../pom.xml" {
				return nil, "pom.xml has a parent at " + parent + ", where the context has none"
			}
		}
		for _, m := range mavenModule.FindAllStringSubmatch(text, -1) {
			image := pomAt(p.image, m[1])
			switch {
			case p.parent:
			case strings.Contains(m[1], "$") || r.file(image) == nil:
				return nil, "pom.xml names the module " + m[1] + ", where the context has no pom.xml"
			default:
				queue = append(queue, pom{image: image})
			}
		}
	}
	return more, ""
}

// parentPom returns where a pom looks for its parent before it asks a repository
// (Maven: POM reference, "relativePath"); false for nowhere.
func parentPom(text string) (string, bool) {
	parent := mavenParent.FindString(text)
	if parent == "" || strings.Contains(parent, "<relativePath/>") {
		return "", false
	}
	if m := mavenRelative.FindStringSubmatch(parent); m != nil {
		return m[1], m[1] != ""
	}
	return "../pom.xml", true
}

// pomAt returns the image path of the pom that another one names by its file or
// folder.
func pomAt(from, name string) string {
	image := resolve(path.Dir(from), name, 0)
	if path.Ext(image) != ".xml" {
		image = path.Join(image, "pom.xml")
	}
	return image
}

// launched returns the files of a script that brings the build tool along.
func launched(r reader, script, pattern string) []string {
	if script == "" {
		return nil
	}
	return append([]string{path.Join(r.dir, script)}, r.matching(pattern)...)
}

// gradleOpen finds what in a build script, which is a program, may read files.
var gradleOpen = regexp.MustCompile(`\b(files?|fileTree|includeBuild|include|includeFlat|apply\s*\(?\s*from|buildFileName|File(?:InputStream|Reader)?|exec|rootDir|projectDir|rootProject\.file|new\s+File|readText|providers|git|gitVersion|grgit|jgit|axion-release|reckon)\b\s*[\(:'"{.]?|git-version`)

// gradleInclude is a line of a settings script that names projects, and no more.
var (
	gradleInclude = regexp.MustCompile(`(?m)^[ \t]*include[ \t]*\(?((?:[ \t]*["'][\w:.-]+["'][ \t]*,?)+)\)?[ \t]*;?[ \t]*$`)
	gradleName    = regexp.MustCompile(`["']([\w:.-]+)["']`)
)

// gradleWiden: the scripts of all projects are read, and each is a program that may
// read anything; those of plain lines do not.
func gradleWiden(r reader, launcher string) ([]string, string) {
	if r.exists("buildSrc") {
		return nil, "gradle compiles buildSrc before anything else"
	}
	more := launched(r, launcher, "gradle/wrapper/*")
	folders := []string{"."}
	for _, name := range []string{"settings.gradle", "settings.gradle.kts"} {
		text := string(r.local(name))
		for _, line := range gradleInclude.FindAllStringSubmatch(text, -1) {
			for _, m := range gradleName.FindAllStringSubmatch(line[1], -1) {
				folders = append(folders, strings.ReplaceAll(strings.TrimPrefix(m[1], ":"), ":", "/"))
			}
		}
		if at := gradleOpen.FindString(gradleInclude.ReplaceAllString(text, "")); at != "" {
			return nil, readsMore(name, at)
		}
	}
	for _, folder := range folders {
		found := folder == "."
		for _, name := range []string{"build.gradle", "build.gradle.kts", "gradle.properties", "gradle.lockfile"} {
			name = path.Join(folder, name)
			text := r.local(name)
			if text == nil {
				continue
			}
			if at := gradleOpen.FindString(string(text)); at != "" && strings.Contains(name, "build.gradle") {
				return nil, readsMore(name, at)
			}
			found = true
			more = append(more, path.Join(r.dir, name))
		}
		if !found {
			return nil, "settings.gradle includes " + folder + ", where the context has no script"
		}
	}
	return more, ""
}

var (
	gemfileOpen = regexp.MustCompile(`(?m)^[^#\n]*(\bpath\b\s*(:|=>|\s+["'])|:path\s*=>|\bgemspec\b|eval_gemfile|require_relative|\brequire\s*\(?["']\.|\bload\b|\bruby\s+file:|File\.|IO\.|Dir\.|%x|` + "`" + `|instance_eval)`)
	// gemRuby is a line that takes the version of Ruby from a file (bundler: Bundler::RubyDsl).
	gemRuby = regexp.MustCompile(`(?m)^[ \t]*ruby[ \t]*\(?[ \t]*file:[ \t]*["']([\w.][\w./-]*)["'][ \t]*\)?[ \t]*(?:#.*)?$`)
	// gemVersion is a gem with one requirement.
	gemVersion = regexp.MustCompile(`(?m)^\s*gem\s*\(?\s*["']([^"']+)["']\s*,\s*["']((?:[~<>=!]+ )?\d[\w.]*)["']\s*\)?\s*(?:,\s*\w+:.*)?(?:#.*)?$`)
	gemName    = regexp.MustCompile(`(?m)^\s*gem\s*\(?\s*["']([^"']+)["']`)
)

// bundlerWiden: a Gemfile is a program as well; one of plain lines reads nothing.
// Bundler writes Gemfile.lock anew where that does not say enough.
func bundlerWiden(r reader) ([]string, string) {
	text, lock := string(r.local("Gemfile")), string(r.local("Gemfile.lock"))
	var more []string
	for _, m := range gemRuby.FindAllStringSubmatch(text, -1) {
		if !r.exists(m[1]) {
			return nil, "the Gemfile takes the version of Ruby from " + m[1] + ", and the context has none"
		}
		more = append(more, path.Join(r.dir, m[1]))
	}
	if at := gemfileOpen.FindStringSubmatch(gemRuby.ReplaceAllString(text, "")); at != nil {
		return nil, "the Gemfile leads to other files of the sources: " + strings.TrimSpace(at[1])
	}
	if lock == "" {
		return nil, "bundler would write a Gemfile.lock, and the context has none"
	}
	_, platforms, _ := strings.Cut(lock, "\nPLATFORMS\n")
	platforms, _, _ = strings.Cut(platforms, "\n\n")
	_, direct, _ := strings.Cut(lock, "\nDEPENDENCIES")
	direct, _, _ = strings.Cut(direct, "\n\n")
	// Of which architecture the builder is nobody says; most are of this one.
	stale := !strings.Contains(platforms, "x86_64-linux") && !strings.Contains(platforms+"\n", "  ruby\n")
	for _, m := range gemVersion.FindAllStringSubmatch(text, -1) {
		if m[2][0] >= '0' && m[2][0] <= '9' {
			m[2] = "= " + m[2]
		}
		stale = stale || !strings.Contains(direct, "\n  "+m[1]+" ("+m[2]+")")
	}
	for _, m := range gemName.FindAllStringSubmatch(text, -1) {
		stale = stale || !slices.ContainsFunc(strings.Split(direct, "\n"), func(line string) bool {
			name, _, _ := strings.Cut(strings.TrimSpace(line), " ")
			return strings.TrimSuffix(name, "!") == m[1]
		})
	}
	if stale {
		return nil, "bundler would rewrite Gemfile.lock, which lacks a gem of the Gemfile or the platform: update it"
	}
	return more, ""
}

// composerElsewhere are events of other commands, and of an install without a lock
// file (Composer: articles/scripts, Command Events).
var composerElsewhere = []string{
	"update-cmd", "status-cmd", "archive-cmd", "root-package-install", "create-project-cmd", "package-update", "package-uninstall",
}

// composerWiden: composer runs scripts and plugins, and looks through the sources
// for classes unless they are found by their names.
var composerURL = regexp.MustCompile(`"url"\s*:\s*"([^"]*)"`)

func composerWiden(r reader, has func(...string) bool) ([]string, string) {
	type autoload struct {
		Classmap []string `json:"classmap"`
	}
	var m struct {
		Version      string
		Scripts      map[string]any
		Repositories json.RawMessage
		Autoload     autoload
		Dev          autoload `json:"autoload-dev"`
		Config       struct {
			Optimize      bool   `json:"optimize-autoloader"`
			Authoritative bool   `json:"classmap-authoritative"`
			Plugins       any    `json:"allow-plugins"`
			VendorDir     string `json:"vendor-dir"`
		}
	}
	if err := json.Unmarshal(r.local("composer.json"), &m); err != nil {
		return nil, "composer.json cannot be read"
	}
	if !r.exists("composer.lock") {
		return nil, "composer would write a composer.lock, and the context has none"
	}
	if !has("--no-scripts") {
		for _, name := range slices.Sorted(maps.Keys(m.Scripts)) {
			event, is := strings.CutPrefix(strings.TrimPrefix(name, "pre-"), "post-")
			is = is || strings.HasPrefix(name, "pre-")
			if is && !slices.Contains(composerElsewhere, event) {
				return nil, "composer.json has " + name + " scripts, which the install runs and which may read the sources"
			}
		}
	}
	if m.Version == "" && r.git(r.dir) {
		return nil, "composer writes down which version it finds in .git"
	}
	plugins := m.Config.Plugins == true
	if set, ok := m.Config.Plugins.(map[string]any); ok {
		for _, allowed := range set {
			plugins = plugins || allowed == true
		}
	}
	if plugins && !has("--no-plugins") {
		return nil, "composer runs plugins, which may read the sources"
	}
	if m.Config.VendorDir != "" && m.Config.VendorDir != "vendor" {
		return nil, "composer installs to " + m.Config.VendorDir
	}
	local := slices.ContainsFunc(composerURL.FindAllStringSubmatch(string(m.Repositories), -1), func(u []string) bool {
		return !strings.Contains(u[1], "://") && !strings.Contains(u[1], ":") || strings.HasPrefix(u[1], "file:")
	})
	if local || strings.Contains(string(m.Repositories), `"path"`) || strings.Contains(string(m.Repositories), `"artifact"`) {
		return nil, "composer.json has packages from a path of the sources"
	}
	scans := has("-o", "--optimize-autoloader", "-a", "--classmap-authoritative", "--apcu-autoloader") || m.Config.Optimize || m.Config.Authoritative
	if (scans || len(m.Autoload.Classmap)+len(m.Dev.Classmap) > 0) && !has("--no-autoloader") {
		return nil, "composer looks through the sources for classes: install with --no-autoloader, and run `composer dump-autoload` below the sources"
	}
	return nil, ""
}

// readsMore says that a file which is a program has words with which it may read others.
func readsMore(name, words string) string {
	return fmt.Sprintf("%s is a program that may read further files: it has `%s`", name, strings.TrimSpace(words))
}

// mixOpen finds what in mix.exs, which is a program, may read files.
var mixOpen = regexp.MustCompile(`(?m)^[^#\n]*(\bpath:|apps_path|File\.|Code\.|System\.cmd|Path\.)`)

// mixAlias is a task of the project's own in place of one that fetches or compiles
// dependencies.
var mixAlias = regexp.MustCompile(`["'](deps\.(?:get|compile))["']\s*:`)

func mixWiden(r reader) ([]string, string) {
	if at := mixOpen.FindStringSubmatch(string(r.local("mix.exs"))); at != nil {
		return nil, readsMore("mix.exs", at[1])
	}
	if !r.exists("mix.lock") {
		return nil, "mix would write a mix.lock, and the context has none"
	}
	if at := mixAlias.FindSubmatch(r.local("mix.exs")); at != nil {
		return nil, "mix.exs gives " + string(at[1]) + " another meaning"
	}
	files := r.matching("config/*.exs")
	for _, name := range files {
		if at := mixOpen.FindSubmatch(r.file(name)); at != nil {
			return nil, readsMore(path.Base(name), string(at[1]))
		}
	}
	return files, ""
}
