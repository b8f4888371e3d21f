package suggest

import (
	"encoding/json"
	"path"
	"regexp"
	"slices"
	"strings"
)

// These match references in files of .NET.
var (
	// dotnetProject matches a project in a .sln file, dotnetListed one in a .slnx file, and
	// dotnetReference one that another project refers to.
	dotnetProject   = regexp.MustCompile(`(?m)^Project\("[^"]*"\)\s*=\s*"[^"]*",\s*"([^"]+\.[a-z]+proj)"`)
	dotnetReference = regexp.MustCompile(`<ProjectReference\s(?:[^>]*\s)?Include\s*=\s*["']([^"']+)["']`)
	dotnetListed    = regexp.MustCompile(`<Project\s(?:[^>]*\s)?Path\s*=\s*["']([^"']+)["']`)
	// dotnetImport matches what makes a project read other files, depend on which there are, or keep
	// what a restore writes elsewhere.
	dotnetImport = regexp.MustCompile(`<Import\s|<Reference\s[^>]*HintPath|Exists\(|\[System\.IO\.|<Restore\w*(Sources|Folders|ConfigFile|ProjectStyle)\b|<(BaseIntermediateOutputPath|MSBuildProjectExtensionsPath|NuGetLockFilePath)\b`)
	// dotnetHook matches a target that runs in a restore. It may read any file.
	dotnetHook = regexp.MustCompile(`(?i)<Target\s[^>]*\b(?:Before|After)Targets\s*=\s*["'][^"']*(?:restore|collect(?:package|central|framework))|<Project\s[^>]*\bInitialTargets\s*=`)
	// dotnetSource matches a source of packages in a NuGet.config.
	dotnetSource = regexp.MustCompile(`<add\s[^>]*\bvalue\s*=\s*["']([^"']+)["']`)
	// dotnetPackage matches a package that a project asks for, with its version if there is one.
	dotnetPackage = regexp.MustCompile(`<PackageReference\s(?:[^>]*\s)?Include\s*=\s*["']([^"']+)["'](?:\s+Version\s*=\s*["']([^"']+)["'])?`)
)

// dotnetShared are files that apply to all projects in their folder and below.
var dotnetShared = []string{
	"Directory.Build.props", "Directory.Build.targets", "Directory.Packages.props", "NuGet.config", "nuget.config", "NuGet.Config", "packages.lock.json",
	"global.json", "Directory.Build.rsp", "Directory.Solution.props", "Directory.Solution.targets",
}

// dotnetRestore sets discover and widen by the arguments of `dotnet restore`. It reports false
// if they are not understood, or may name a folder of packages.
func dotnetRestore(in *install, args []string) bool {
	name, ok := restored(args)
	if !ok {
		return false
	}
	in.output = ""
	in.discover = func(r reader) []string { return restoredFiles(r, in.dir, name) }
	locked := slices.Contains(args, "--locked-mode") && !slices.Contains(args, "--force-evaluate")
	in.widen = func(r reader) ([]string, string) {
		more, obstacle := dotnetWiden(r, in.discover(r))
		if obstacle == "" {
			obstacle = restoreWrites(r, more, locked)
		}
		return more, obstacle
	}
	return true
}

// restored returns the project, solution or folder that the arguments of `dotnet restore` name, with
// slashes; "" if they name none. It reports false if they are not understood, or may name a folder of
// packages.
func restored(args []string) (string, bool) {
	var names []string
	for i := 0; i < len(args); i++ {
		switch a := args[i]; {
		case a == "-s" || a == "--source":
			if i++; i == len(args) || !strings.Contains(args[i], "://") {
				return "", false // it may be a folder of packages
			}
		case strings.HasPrefix(a, "--source") && !strings.Contains(a, "://"):
			return "", false
		case slices.Contains([]string{"-r", "--runtime", "-v", "--verbosity", "-a", "--arch", "--os"}, a):
			i++
		case !strings.HasPrefix(a, "-"):
			names = append(names, slashed(a))
		}
	}
	switch len(names) {
	case 0:
		return "", true
	case 1:
		return names[0], !strings.ContainsAny(names[0], "$*")
	}
	return "", false
}

// restoredFiles returns the files that `dotnet restore` may take, in an image folder, as image paths.
// name is what restored returns. If there is more than one, the restore fails.
func restoredFiles(r reader, dir, name string) []string {
	if name != "" {
		named := resolve(dir, name, 0)
		if path.Ext(name) != "" {
			return []string{named}
		}
		return r.list(named, "*.*proj")
	}
	solutions := append(r.list(dir, "*.sln"), r.list(dir, "*.slnx")...)
	if len(solutions) == 0 {
		return r.list(dir, "*.*proj")
	}
	return solutions
}

// restoreWrites says which of the files that a restore reads has it write what the context brings
// as well, or returns "". locked says that the restore does not rewrite lock files.
func restoreWrites(r reader, files []string, locked bool) string {
	for _, image := range files {
		if !locked && strings.HasSuffix(image, "proj") && !dotnetInStep(r, image) {
			return "`dotnet restore` would rewrite packages.lock.json, which lacks what " + path.Base(image) + " asks for: update it, or use --locked-mode"
		}
		artifacts := path.Join(path.Dir(image), "artifacts")
		if strings.Contains(string(r.file(image)), "<UseArtifactsOutput>true") && len(r.list(artifacts, "**/*")) > 0 {
			return "`dotnet restore` writes to artifacts, which the context brings as well: ignore it first"
		}
	}
	return ""
}

// dotnetWiden returns what a restore of a project or solution reads: the projects that it
// refers to, at any distance, and the settings that apply to them.
func dotnetWiden(r reader, files []string) (more []string, obstacle string) {
	if len(files) != 1 {
		return nil, "which project `dotnet restore` takes cannot be told"
	}
	seen := map[string]bool{}
	var shared []string // files of settings
	for len(files) > 0 {
		name := files[0]
		files = files[1:]
		if seen[name] {
			continue
		}
		seen[name] = true
		more = append(more, name)
		projects, imported, obstacle := dotnetReferences(r, name)
		if obstacle != "" {
			return nil, obstacle
		}
		files = append(files, projects...)
		shared = slices.Concat(shared, imported, dotnetImplied(name))
	}
	settings, obstacle := dotnetSettings(r, shared)
	return append(more, settings...), obstacle
}

// dotnetImplied returns the image paths at which MSBuild and NuGet look for settings of a project or
// solution that does not name them: beside it, and in its folder and all above.
func dotnetImplied(image string) []string {
	dir, base := path.Split(image)
	list := []string{image + ".user", path.Join(dir, "before."+base+".targets"), path.Join(dir, "after."+base+".targets")}
	for dir := path.Dir(image); ; dir = path.Dir(dir) {
		for _, name := range dotnetShared {
			list = append(list, path.Join(dir, name))
		}
		if dir == "/" || dir == "." || dir == baseDir {
			return list
		}
	}
}

// dotnetInStep reports whether the lock file beside a project, if there is one, has the
// packages that the project asks for: if not, a restore writes it anew.
func dotnetInStep(r reader, project string) bool {
	text := r.file(path.Join(path.Dir(project), "packages.lock.json"))
	if text == nil {
		return true
	}
	var lock struct {
		// by target framework and package
		Dependencies map[string]map[string]struct{ Type, Requested string }
	}
	if json.Unmarshal(text, &lock) != nil || len(lock.Dependencies) == 0 {
		return false
	}
	for _, m := range dotnetPackage.FindAllStringSubmatch(xmlComment.ReplaceAllString(string(r.file(project)), ""), -1) {
		name, version := m[1], m[2]
		if strings.Trim(version, "0123456789.") != "" {
			version = "" // a range, or a property of MSBuild: what it asks for is not known
		}
		found := false
		for _, packages := range lock.Dependencies {
			locked, ok := packages[name]
			found = found || ok && locked.Type == "Direct" && (version == "" || strings.HasPrefix(locked.Requested, "["+version))
		}
		if !found {
			return false
		}
	}
	return true
}

// dotnetReferences returns the projects that a project or solution refers to, and the files of
// settings that it imports.
func dotnetReferences(r reader, image string) (projects, imported []string, obstacle string) {
	text := string(r.file(image))
	if text == "" {
		return nil, nil, path.Base(image) + " is named by a project, but the context has none"
	}
	references := dotnetReference
	switch ext := path.Ext(image); {
	case ext == ".sln":
		references = dotnetProject
	case ext == ".slnx":
		references = dotnetListed
	case !strings.HasSuffix(ext, "proj"):
		return nil, nil, path.Base(image) + " is no project and no solution"
	default:
		switch text, imported = dotnetImports(r, image, text); {
		case dotnetImport.MatchString(text):
			return nil, nil, path.Base(image) + " imports further files"
		case dotnetHook.MatchString(text):
			return nil, nil, path.Base(image) + " has a target run in the restore, which may read the sources"
		}
	}
	for _, m := range references.FindAllStringSubmatch(text, -1) {
		if strings.ContainsAny(m[1], "$*;@%") {
			return nil, nil, path.Base(image) + " names a project that cannot be followed: " + m[1]
		}
		projects = append(projects, resolve(path.Dir(image), slashed(m[1]), 0))
	}
	return projects, imported, ""
}

// dotnetSettings returns those files of settings that exist, and the files that they import, at
// any distance.
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
		if dotnetHook.MatchString(text) {
			return nil, path.Base(image) + " has a target run in the restore, which may read the sources"
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
	// dotnetImported matches an import, with or without a condition before or behind.
	dotnetImported = regexp.MustCompile(`<Import(?:\s+Condition="([^"]*)")?\s+Project="([^"]*)"(?:\s+Condition="([^"]*)")?\s*(?:/>|>\s*</Import>)`)
	// dotnetAbove and dotnetFolder match MSBuild's searches for a file in a folder and those
	// above it; dotnetBeside matches a path relative to the folder of the importing file.
	dotnetAbove  = regexp.MustCompile(`^\$\(\[MSBuild\]::GetPathOfFileAbove\(\s*'?([\w.$()-]+?)'?\s*(?:,\s*'?(?:\$\(MSBuildThisFileDirectory\))?([./\\]*)'?\s*)?\)\)$`)
	dotnetFolder = regexp.MustCompile(`^\$\(\[MSBuild\]::GetDirectoryNameOfFileAbove\(\s*'?\$\(MSBuildThisFileDirectory\)([./\\]*)'?\s*,\s*'?([\w.-]+)'?\s*\)\)[/\\]([\w.-]+)$`)
	dotnetBeside = regexp.MustCompile(`^(?:\$\(MSBuildThisFileDirectory\))?([\w./\\ -]+)$`)
)

// dotnetImports returns the files of the context that a project or file of settings imports,
// and its text without these imports. Imports that are left in the text cannot be followed.
func dotnetImports(r reader, image, text string) (rest string, files []string) {
	rest = dotnetImported.ReplaceAllStringFunc(xmlComment.ReplaceAllString(text, ""), func(element string) string {
		m := dotnetImported.FindStringSubmatch(element)
		project, condition := m[2], m[1]+m[3]
		// A condition may ask whether the imported file exists, but not whether others do.
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

// dotnetFile returns the image path of the file that an import in the file at image leads to,
// or "" if a search finds none. It reports false if that is not known.
func dotnetFile(r reader, image, project string) (string, bool) {
	name, from, search := "", "", true // the file, where it is looked for first, and whether above that, too
	above, folder, beside := dotnetAbove.FindStringSubmatch(project), dotnetFolder.FindStringSubmatch(project), dotnetBeside.FindStringSubmatch(project)
	switch {
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

// slashed returns a path of MSBuild with slashes.
func slashed(name string) string { return strings.ReplaceAll(name, `\`, "/") }
