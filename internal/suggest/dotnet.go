package suggest

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

var (
	dotnetProject   = regexp.MustCompile(`(?m)^Project\("[^"]*"\)\s*=\s*"[^"]*",\s*"([^"]+\.[a-z]+proj)"`)
	dotnetReference = regexp.MustCompile(`<ProjectReference\s(?:[^>]*\s)?Include\s*=\s*"([^"]+)"`)
	dotnetListed    = regexp.MustCompile(`<Project\s(?:[^>]*\s)?Path\s*=\s*"([^"]+)"`)
	dotnetImport    = regexp.MustCompile(`<Import\s|<Reference\s[^>]*HintPath|Exists\(|\[System\.IO\.|<Restore\w*(Sources|Folders|ConfigFile|ProjectStyle)\b`)
	dotnetSource    = regexp.MustCompile(`<add\s+key="[^"]*"\s+value="([^"]+)"`)
)

// dotnetShared are files that hold for all projects below their folder.
var dotnetShared = []string{
	"Directory.Build.props", "Directory.Build.targets", "Directory.Packages.props", "NuGet.config", "nuget.config", "NuGet.Config", "packages.lock.json",
	"global.json", "Directory.Build.rsp", "Directory.Solution.props", "Directory.Solution.targets",
}

// dotnetRestore reads the arguments of `dotnet restore`: the project or solution.
func dotnetRestore(in *install, args []string) bool {
	var names []string
	for i := 0; i < len(args); i++ {
		switch a := args[i]; {
		case a == "-s" || a == "--source":
			if i++; i == len(args) || !strings.Contains(args[i], "://") {
				return false // a folder of packages perhaps
			}
		case strings.HasPrefix(a, "--source") && !strings.Contains(a, "://"):
			return false
		case slices.Contains([]string{"-r", "--runtime", "-v", "--verbosity", "-a", "--arch", "--os"}, a):
			i++
		case !strings.HasPrefix(a, "-"):
			names = append(names, a)
		}
	}
	if len(names) > 1 || len(names) == 1 && strings.ContainsAny(names[0], "$*") {
		return false
	}
	in.output = ""
	in.discover = func(r reader) []string {
		if len(names) == 1 {
			name := slashed(names[0])
			if path.Ext(name) != "" {
				return []string{resolve(in.dir, name, 0)}
			}
			return r.list(resolve(in.dir, name, 0), "*.*proj")
		}
		list := append(r.list(in.dir, "*.sln"), r.list(in.dir, "*.slnx")...)
		if len(list) == 0 {
			list = r.list(in.dir, "*.*proj")
		}
		return list
	}
	in.widen = func(r reader) ([]string, string) { return dotnetWiden(r, in.discover(r)) }
	return true
}

// dotnetWiden follows a solution to its projects, and these to each other.
func dotnetWiden(r reader, files []string) (more []string, obstacle string) {
	if len(files) != 1 {
		return nil, "which project `dotnet restore` takes cannot be told"
	}
	seen := map[string]bool{}
	var shared []string // files that projects take settings from
	for len(files) > 0 {
		name := files[0]
		files = files[1:]
		if seen[name] {
			continue
		}
		seen[name] = true
		text := string(r.file(name))
		if text == "" {
			return nil, path.Base(name) + " is named by a project, but the context has none"
		}
		more = append(more, name)
		references := dotnetReference
		switch ext := path.Ext(name); {
		case ext == ".sln":
			references = dotnetProject
		case ext == ".slnx":
			references = dotnetListed
		case !strings.HasSuffix(ext, "proj"):
			return nil, path.Base(name) + " is no project and no solution"
		default:
			var imported []string
			if text, imported = dotnetImports(r, name, text); dotnetImport.MatchString(text) {
				return nil, path.Base(name) + " imports further files"
			}
			shared = append(shared, imported...)
		}
		for _, m := range references.FindAllStringSubmatch(text, -1) {
			if strings.ContainsAny(m[1], "$*;@%") {
				return nil, path.Base(name) + " names a project that cannot be followed: " + m[1]
			}
			files = append(files, resolve(path.Dir(name), slashed(m[1]), 0))
		}
		for dir := path.Dir(name); ; dir = path.Dir(dir) {
			for _, name := range dotnetShared {
				shared = append(shared, path.Join(dir, name))
			}
			if dir == "/" || dir == "." || dir == baseDir {
				break // MSBuild and NuGet look all the way up
			}
		}
	}
	settings, obstacle := dotnetSettings(r, shared)
	return append(more, settings...), obstacle
}

// dotnetSettings follows files that projects take settings from to those that they
// import in turn. Not all of them need be there.
func dotnetSettings(r reader, shared []string) (more []string, obstacle string) {
	for len(shared) > 0 {
		image := shared[0]
		shared = shared[1:]
		text := string(r.file(image))
		if text == "" || slices.Contains(more, image) {
			continue
		}
		more = append(more, image)
		text, imported := dotnetImports(r, image, text)
		if dotnetImport.MatchString(text) || dotnetReference.MatchString(text) {
			return nil, path.Base(image) + " names further files"
		}
		shared = append(shared, imported...)
		for _, m := range dotnetSource.FindAllStringSubmatch(text, -1) {
			if strings.EqualFold(path.Ext(image), ".config") && !strings.Contains(m[1], "://") {
				return nil, path.Base(image) + " names packages in a folder"
			}
		}
	}
	return more, ""
}

var (
	xmlComment = regexp.MustCompile(`(?s)<!--.*?-->`)
	// dotnetImported matches an import, with a condition before or behind or without one.
	dotnetImported = regexp.MustCompile(`<Import(?:\s+Condition="([^"]*)")?\s+Project="([^"]*)"(?:\s+Condition="([^"]*)")?\s*(?:/>|>\s*</Import>)`)
	// dotnetAbove matches MSBuild's search for a file in a folder and all above it, and
	// dotnetBeside a path that begins where the file lies.
	dotnetAbove  = regexp.MustCompile(`^\$\(\[MSBuild\]::GetPathOfFileAbove\(\s*'?([\w.$()-]+?)'?\s*(?:,\s*'?(?:\$\(MSBuildThisFileDirectory\))?([./\\]*)'?\s*)?\)\)$`)
	dotnetFolder = regexp.MustCompile(`^\$\(\[MSBuild\]::GetDirectoryNameOfFileAbove\(\s*'?\$\(MSBuildThisFileDirectory\)([./\\]*)'?\s*,\s*'?([\w.-]+)'?\s*\)\)[/\\]([\w.-]+)$`)
	dotnetBeside = regexp.MustCompile(`^(?:\$\(MSBuildThisFileDirectory\))?([\w./\\ -]+)$`)
)

// dotnetImports returns the files of the context that a project, or a file of settings,
// imports, and the text without what says so: what is left in it of imports cannot be
// followed.
func dotnetImports(r reader, image, text string) (rest string, files []string) {
	rest = dotnetImported.ReplaceAllStringFunc(xmlComment.ReplaceAllString(text, ""), func(element string) string {
		m := dotnetImported.FindStringSubmatch(element)
		project, condition := m[2], m[1]+m[3]
		// That the file is there may be asked first; other conditions choose.
		if strings.Count(condition, "Exists(") > strings.Count(condition, project) || strings.Contains(condition, "[System.IO.") {
			return element
		}
		file, ok := dotnetFile(r, image, project)
		if !ok {
			return element
		}
		if file != "" {
			files = append(files, file)
		}
		return ""
	})
	return rest, files
}

// dotnetFile returns the file of the context that an import of the file at image leads
// to; "" where a search finds none. It reports false for what cannot be told.
func dotnetFile(r reader, image, project string) (string, bool) {
	name, from, search := "", "", true
	switch above, folder, beside := dotnetAbove.FindStringSubmatch(project), dotnetFolder.FindStringSubmatch(project), dotnetBeside.FindStringSubmatch(project); {
	case above != nil:
		name, from = strings.ReplaceAll(above[1], "$(MSBuildThisFile)", path.Base(image)), above[2]
	case folder != nil && folder[2] == folder[3]:
		name, from = folder[2], folder[1]
	case beside != nil:
		name, search = beside[1], false
	}
	if name == "" || strings.Contains(name, "$") {
		return "", false
	}
	for dir := resolve(path.Dir(image), slashed(from), 0); ; dir = path.Dir(dir) {
		file := resolve(dir, slashed(name), 0)
		if _, ok := r.find(file); ok && r.file(file) != nil {
			return file, true
		}
		if !search || dir == "/" || dir == "." || dir == baseDir {
			return "", search
		}
	}
}

// slashed writes a path of MSBuild's with slashes.
func slashed(name string) string { return strings.ReplaceAll(name, `\`, "/") }
