package suggest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// pathIn looks for a path in a value of a TOML file, at any depth. Of a table it returns the topmost
// key below which there is one, of a text that names a path the text, and of anything else "".
func pathIn(table any) string {
	switch t := table.(type) {
	case map[string]any:
		for name, value := range byName(t) {
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

// byName yields the keys of a map in alphabetical order, with their values: a message about the first
// of several has to be the same every time.
func byName[V any](m map[string]V) iter.Seq2[string, V] {
	return func(yield func(string, V) bool) {
		for _, name := range slices.Sorted(maps.Keys(m)) {
			if !yield(name, m[name]) {
				return
			}
		}
	}
}

// These match elements of a pom and settings of Maven.
var (
	mavenParent   = regexp.MustCompile(`(?s)<parent>(.*?)</parent>`)
	mavenRelative = regexp.MustCompile(`<relativePath>\s*([^<]*?)\s*</relativePath>`)
	mavenModule   = regexp.MustCompile(`<module>\s*([^<]+?)\s*</module>`)
	// mavenArtifact matches an extension in an extensions.xml.
	mavenArtifact = regexp.MustCompile(`<artifactId>\s*([^<]+?)\s*</artifactId>`)
	// mavenExtension matches an extension in a pom.
	mavenExtension = regexp.MustCompile(`(?s)<extension>.*?</extension>`)
	// mavenPlace matches flags that name a file or folder.
	mavenPlace = regexp.MustCompile(`(?m)(?:^|\s)(-s|--settings|-gs|--global-settings|-f|--file|-t|--toolchains|-gt|--global-toolchains|-Dmaven\.repo\.local)\S*`)
	// mavenOpen matches what leads to files other than poms: to packages, and to files whose
	// existence decides something.
	mavenOpen = regexp.MustCompile(`<systemPath>|<exists>|<missing>|\$\{(?:project\.)?basedir\}|\$\{maven\.multiModuleProjectDirectory\}|file:|tycho-maven-plugin|jgitver-maven-plugin|maven-git-versioning-extension`)
)

// mavenExtensions are extensions of Maven that read nothing of the project but poms.
var mavenExtensions = []string{"os-maven-plugin", "takari-smart-builder", "wagon-ssh", "wagon-webdav-jackrabbit", "s3-wagon", "maven-profiler", "opentelemetry-maven-extension",
	"wagon-http", "wagon-file", "wagon-ftp", "wagon-ssh-external", "wagon-git", "google-storage-wagon", "artifactregistry-maven-wagon", "azure-storage-wagon",
}

// mavenWiden is install.widen for Maven. A pom reads those of its modules and, through
// relativePath, of its parent, and these do the same; but the modules of a parent are not read.
func mavenWiden(r reader, launcher string) ([]string, string) {
	if at := mavenPlace.FindString(string(r.local(".mvn/maven.config"))); at != "" {
		return nil, ".mvn/maven.config leads to other files: " + strings.TrimSpace(at)
	}
	wrapper := ""
	if launcher != "" {
		wrapper = string(r.local(".mvn/wrapper/maven-wrapper.properties"))
	}
	settings := slices.Concat(launched(r, launcher, ".mvn/wrapper/*"), r.matching(".mvn/*"), namedFiles(r, wrapper),
		namedFiles(r, string(r.local(".mvn/maven.config"))), namedFiles(r, string(r.local(".mvn/jvm.config"))))
	if name := unknownExtension(xmlComment.ReplaceAllString(string(r.local(".mvn/extensions.xml")), "")); name != "" {
		return nil, ".mvn/extensions.xml has " + name + " run, which may read the sources"
	}
	poms, obstacle := mavenPoms(r)
	if obstacle != "" {
		return nil, obstacle
	}
	return append(settings, poms...), ""
}

// unknownExtension returns the first extension in a text that may read other files than poms, or "".
func unknownExtension(text string) string {
	for _, m := range mavenArtifact.FindAllStringSubmatch(text, -1) {
		if !slices.Contains(mavenExtensions, m[1]) {
			return m[1]
		}
	}
	return ""
}

// mavenPoms returns the image paths of the poms that Maven reads, from that of the project on. There
// is an obstacle if one of them leads to other files, or to a pom that is not there.
func mavenPoms(r reader) (images []string, obstacle string) {
	type pom struct {
		image  string
		parent bool // it is read as the parent of another one
	}
	seen := map[pom]bool{}
	for queue := []pom{{image: path.Join(r.dir, "pom.xml")}}; len(queue) > 0; {
		p := queue[0]
		queue = queue[1:]
		if seen[p] {
			continue
		}
		seen[p] = true
		images = append(images, p.image)
		text := xmlComment.ReplaceAllString(string(r.file(p.image)), "")
		if name := unknownExtension(strings.Join(mavenExtension.FindAllString(text, -1), "")); name != "" {
			return nil, "pom.xml has the extension " + name + " run, which may read the sources"
		}
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
		if p.parent {
			continue
		}
		for _, m := range mavenModule.FindAllStringSubmatch(text, -1) {
			image := pomAt(p.image, m[1])
			if strings.Contains(m[1], "$") || r.file(image) == nil {
				return nil, "pom.xml names the module " + m[1] + ", where the context has no pom.xml"
			}
			queue = append(queue, pom{image: image})
		}
	}
	return images, ""
}

// parentPom returns the path at which Maven looks for the parent of a pom before it asks a
// repository (Maven: POM reference, "relativePath"). It reports false if it looks at none.
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

// pomAt returns the image path of the pom that another one names, by its file or its folder.
func pomAt(from, name string) string {
	image := resolve(path.Dir(from), name, 0)
	if path.Ext(image) != ".xml" {
		image = path.Join(image, "pom.xml")
	}
	return image
}

// launched returns the files of a launcher: a script of the project that downloads and runs the
// build tool. Without a script it returns none.
func launched(r reader, script, pattern string) []string {
	if script == "" {
		return nil
	}
	return append([]string{path.Join(r.dir, script)}, r.matching(pattern)...)
}

// gradleOpen matches what in a build script, which is a program, may read files.
var gradleOpen = regexp.MustCompile(`\b(files?|fileTree|includeBuild|include|includeFlat|apply\s*\(?\s*from|buildFileName|File(?:InputStream|Reader)?|exec|rootDir|projectDir|rootProject\.file|new\s+File|readText|providers|git|gitVersion|grgit|jgit|axion-release|reckon|flatDir|fromFile|execute|Files|Paths|ProcessBuilder|Runtime)\b\s*[\(:'"{.]?|git-version`)

// gradleRepository matches the address of a repository of packages: a path if it has no scheme and
// does not begin with a variable.
var gradleRepository = regexp.MustCompile(`\burl\s*=?\s*\(?\s*(?:uri\s*\(\s*)?["']([^"'$:][^"':]*)["']`)

// gradleFolder matches a setting that names, by a relative path, a folder of a Java.
var gradleFolder = regexp.MustCompile(`(?m)^\s*(org\.gradle\.java\.home|org\.gradle\.java\.installations\.paths)\s*[=:]\s*[^/\s]`)

// gradleInclude matches a line of a settings script that only names projects, and gradleName
// each of these.
var (
	gradleInclude = regexp.MustCompile(`(?m)^[ \t]*include[ \t]*\(?((?:[ \t]*["'][\w:.-]+["'][ \t]*,?)+)\)?[ \t]*;?[ \t]*$`)
	gradleName    = regexp.MustCompile(`["']([\w:.-]+)["']`)
)

// gradleWiden is install.widen for Gradle, which reads the scripts of all projects. Each is a
// program, and an obstacle if it may read files.
func gradleWiden(r reader, launcher string) ([]string, string) {
	if r.exists("buildSrc") {
		return nil, "gradle compiles buildSrc before anything else"
	}
	wrapper := r
	wrapper.dir = path.Join(r.dir, "gradle/wrapper")
	more := slices.Concat(launched(r, launcher, "gradle/wrapper/*"), namedFiles(r, string(r.local("gradle.properties"))),
		namedFiles(wrapper, string(wrapper.local("gradle-wrapper.properties"))))
	if at := gradleFolder.FindStringSubmatch(string(r.local("gradle.properties"))); at != nil {
		return nil, "gradle.properties says where something lies (" + at[1] + "), which may be among the sources"
	}
	included, obstacle := gradleProjects(r)
	if obstacle != "" {
		return nil, obstacle
	}
	for _, folder := range withParents(included) {
		found := folder == "."
		for _, name := range []string{"build.gradle", "build.gradle.kts", "gradle.properties", "gradle.lockfile"} {
			name = path.Join(folder, name)
			text := r.local(name)
			if text == nil {
				continue
			}
			if at := cmp.Or(gradleOpen.FindString(string(text)), gradleRepository.FindString(string(text))); at != "" && strings.Contains(name, "build.gradle") {
				return nil, readsMore(name, at)
			}
			found = true
			more = append(more, path.Join(r.dir, name))
		}
		more = append(more, r.matching(path.Join(folder, "gradle/dependency-locks/*"))...) // of Gradle before 7
		if !found && slices.Contains(included, folder) {
			return nil, "settings.gradle includes " + folder + ", where the context has no script"
		}
	}
	return more, ""
}

// withParents returns folders with all that contain them: "libs:core" is a project of the project
// "libs", which need not be there.
func withParents(folders []string) (list []string) {
	for _, folder := range folders {
		for ; !slices.Contains(list, folder); folder = path.Dir(folder) {
			list = append(list, folder)
		}
	}
	return list
}

// gradleProjects returns the folders of the projects that the settings script includes, and that of
// the root project, ".". It is an obstacle if the script may read files.
func gradleProjects(r reader) (folders []string, obstacle string) {
	folders = []string{"."}
	for _, script := range []string{"settings.gradle", "settings.gradle.kts"} {
		text := string(r.local(script))
		for _, line := range gradleInclude.FindAllStringSubmatch(text, -1) {
			for _, m := range gradleName.FindAllStringSubmatch(line[1], -1) {
				folders = append(folders, strings.ReplaceAll(strings.TrimPrefix(m[1], ":"), ":", "/"))
			}
		}
		rest := gradleInclude.ReplaceAllString(text, "")
		if at := cmp.Or(gradleOpen.FindString(rest), gradleRepository.FindString(rest)); at != "" {
			return nil, readsMore(script, at)
		}
	}
	return folders, ""
}

// composerElsewhere are the events of scripts that an install from a lock file does not run
// (Composer: articles/scripts, Command Events).
var composerElsewhere = []string{
	"update-cmd", "status-cmd", "archive-cmd", "root-package-install", "create-project-cmd", "package-update", "package-uninstall",
}

var (
	// composerPath matches a package of a composer.lock that comes from a path.
	composerPath = regexp.MustCompile(`"type"\s*:\s*"path"`)
	// composerURL matches the address of a repository of packages.
	composerURL = regexp.MustCompile(`"url"\s*:\s*"([^"]*)"`)
)

// composerWiden is install.widen for Composer. Scripts, plugins and packages from a path are
// obstacles, and a search for classes in the sources, unless their names say where they are.
func composerWiden(r reader, has func(...string) bool) ([]string, string) {
	var m composerJSON
	if err := json.Unmarshal(r.local("composer.json"), &m); err != nil {
		return nil, "composer.json cannot be read"
	}
	if !r.exists("composer.lock") {
		return nil, "composer would write a composer.lock, and the context has none"
	}
	if script := m.installScript(); script != "" && !has("--no-scripts") {
		return nil, "composer.json has " + script + " scripts, which the install runs and which may read the sources"
	}
	lock := string(r.local("composer.lock"))
	if at := composerPath.FindString(lock); at != "" {
		return nil, "composer.lock has a package from a path of the sources"
	}
	if m.Version == "" && r.git(r.dir) {
		return nil, "composer writes down which version it finds in .git"
	}
	if plugin := m.plugin(lock, has("--no-dev")); plugin != "" && !has("--no-plugins") {
		return nil, "composer runs plugins (" + plugin + "), which may read the sources"
	}
	if m.Config.VendorDir != "" && m.Config.VendorDir != "vendor" {
		return nil, "composer installs to " + m.Config.VendorDir
	}
	if m.Config.CAFile+m.Config.CAPath != "" {
		return nil, "composer.json says where certificates lie, which may be among the sources"
	}
	if bin := m.Config.BinDir; bin != "" && len(r.matching(path.Clean(bin)+"/**/*")) > 0 {
		return nil, "composer puts the commands of packages into " + bin + ", which the context brings as well"
	}
	if m.hasPaths() {
		return nil, "composer.json has packages from a path of the sources"
	}
	scans := has("-o", "--optimize-autoloader", "-a", "--classmap-authoritative", "--apcu-autoloader") || m.Config.Optimize || m.Config.Authoritative
	if (scans || len(m.Autoload.Classmap)+len(m.Dev.Classmap) > 0) && !has("--no-autoloader") {
		return nil, "composer looks through the sources for classes: install with --no-autoloader, and run `composer dump-autoload` below the sources"
	}
	return nil, ""
}

// A composerJSON holds the fields of a composer.json that may make an install read more files.
type composerJSON struct {
	Version      string
	Scripts      map[string]any
	Repositories json.RawMessage
	Autoload     composerAutoload
	Dev          composerAutoload `json:"autoload-dev"`
	Config       struct {
		Optimize      bool   `json:"optimize-autoloader"`
		Authoritative bool   `json:"classmap-authoritative"`
		Plugins       any    `json:"allow-plugins"`
		VendorDir     string `json:"vendor-dir"`
		BinDir        string `json:"bin-dir"`
		CAFile        string
		CAPath        string
	}
}

// A composerAutoload says how classes are found; those of Classmap by a search for them.
type composerAutoload struct {
	Classmap []string `json:"classmap"`
}

// installScript returns the first event for which the project has scripts that an install runs, or
// "". Other scripts run only when somebody asks for them.
func (m composerJSON) installScript() string {
	for _, name := range slices.Sorted(maps.Keys(m.Scripts)) {
		event, post := strings.CutPrefix(strings.TrimPrefix(name, "pre-"), "post-")
		isEvent := post || strings.HasPrefix(name, "pre-")
		if isEvent && !slices.Contains(composerElsewhere, event) {
			return name
		}
	}
	return ""
}

// hasPaths reports whether a repository of packages is, or may be, a path of the sources.
func (m composerJSON) hasPaths() bool {
	text := string(m.Repositories)
	return strings.Contains(text, `"path"`) || strings.Contains(text, `"artifact"`) ||
		slices.ContainsFunc(composerURL.FindAllStringSubmatch(text, -1), func(u []string) bool {
			return !strings.Contains(u[1], ":") || strings.HasPrefix(u[1], "file:")
		})
}

// readsMore returns the obstacle that a file is a program, with words by which it may read
// others.
func readsMore(name, words string) string {
	return fmt.Sprintf("%s is a program that may read further files: it has `%s`", name, strings.TrimSpace(words))
}

// These match what is in mix.exs and other scripts of Elixir.
var (
	// mixOpen matches what may read files.
	mixOpen = regexp.MustCompile(`(?m)^[^#\n]*(\bpath:|apps_path|in_umbrella|File\.|Code\.|System\.(?:cmd|shell)|Path\.|:os\.|:file\.|Port\.|EEx\.)`)
	// mixAlias matches a task of the project that replaces the one which fetches or compiles
	// dependencies.
	mixAlias = regexp.MustCompile(`["'](deps\.(?:get|compile))["']\s*:`)
	// mixPlace matches a setting that says where the project's files and folders are.
	mixPlace = regexp.MustCompile(`\b(config_path|lockfile|deps_path|build_path)\s*:`)
	// mixImport matches an import of a script of settings, mixImported one whose argument is a text,
	// and mixComputed what is computed in that.
	mixImport   = regexp.MustCompile(`(?m)^[^#\n]*\bimport_config\b.*`)
	mixImported = regexp.MustCompile(`import_config[\s(]+"([^"]+)"`)
	mixComputed = regexp.MustCompile(`#\{[^}]*\}`)
	// mixRequirement matches a dependency of a single requirement.
	mixRequirement = regexp.MustCompile(`\{\s*:(\w+)\s*,\s*"\s*(~>|==|)\s*(\d+(?:\.\d+){1,2})\s*"`)
	// mixDependency matches a dependency.
	mixDependency = regexp.MustCompile(`\{\s*:(\w+)\s*,\s*(?:"|git:|github:|hex:|\[)`)
)

// mixWiden is install.widen for mix, which runs mix.exs and the scripts in config.
func mixWiden(r reader) ([]string, string) {
	project, lock := string(r.local("mix.exs")), string(r.local("mix.lock"))
	if at := mixOpen.FindStringSubmatch(project); at != nil {
		return nil, readsMore("mix.exs", at[1])
	}
	if !r.exists("mix.lock") {
		return nil, "mix would write a mix.lock, and the context has none"
	}
	if at := mixAlias.FindStringSubmatch(project); at != nil {
		return nil, "mix.exs gives " + at[1] + " another meaning"
	}
	if at := mixPlace.FindStringSubmatch(project); at != nil {
		return nil, "mix.exs says where something lies (" + at[1] + ")"
	}
	for _, dependency := range mixDependency.FindAllStringSubmatch(project, -1) {
		if !strings.Contains(lock, `"`+dependency[1]+`":`) {
			return nil, "mix would rewrite mix.lock, which lacks " + dependency[1] + ": update it"
		}
	}
	if at := staleHex(project, lock); at != "" {
		return nil, "mix would rewrite mix.lock, where the version of " + at + " is not one that mix.exs asks for: update it"
	}
	return mixConfig(r)
}

// mixConfig returns the scripts in config, and those that they import, as image paths.
func mixConfig(r reader) (files []string, obstacle string) {
	files = r.matching("config/*.exs")
	for i := 0; i < len(files); i++ {
		name := files[i]
		text := r.file(name)
		if at := mixOpen.FindSubmatch(text); at != nil {
			return nil, readsMore(path.Base(name), string(at[1]))
		}
		for _, line := range mixImport.FindAllSubmatch(text, -1) {
			m := mixImported.FindSubmatch(line[0])
			if m == nil || strings.Contains(string(m[1]), "..") {
				return nil, readsMore(path.Base(name), string(line[0]))
			}
			pattern := mixComputed.ReplaceAllString(string(m[1]), "*")
			for _, imported := range r.list(path.Dir(name), pattern) {
				if !slices.Contains(files, imported) {
					files = append(files, imported)
				}
			}
		}
	}
	return files, ""
}

// staleHex returns the first package of hex.pm for which mix.lock has a version that does not meet
// the requirement in mix.exs, or "". Of requirements that are more than one version it says nothing.
func staleHex(project, lock string) string {
	for _, m := range mixRequirement.FindAllStringSubmatch(project, -1) {
		name, sign, want := m[1], m[2], strings.Split(m[3], ".")
		locked := regexp.MustCompile(`"` + name + `":\s*\{:hex,\s*:\w+,\s*"([^"]*)"`).FindStringSubmatch(lock)
		if locked == nil {
			continue
		}
		have := strings.FieldsFunc(locked[1], func(c rune) bool { return c == '.' || c == '-' || c == '+' })
		fixed := len(want) // so many parts have to be the same
		if sign == "~>" {
			fixed--
		}
		switch {
		case len(have) < len(want) || !slices.Equal(have[:fixed], want[:fixed]):
			return name
		case fixed == len(want):
			continue
		}
		least, errLeast := strconv.Atoi(want[fixed])
		is, err := strconv.Atoi(have[fixed])
		if errLeast != nil || err != nil || is < least {
			return name
		}
	}
	return ""
}
