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
			name := strings.ReplaceAll(names[0], `\`, "/")
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
		case dotnetImport.MatchString(text):
			return nil, path.Base(name) + " imports further files"
		}
		for _, m := range references.FindAllStringSubmatch(text, -1) {
			if strings.ContainsAny(m[1], "$*;@%") {
				return nil, path.Base(name) + " names a project that cannot be followed: " + m[1]
			}
			files = append(files, resolve(path.Dir(name), strings.ReplaceAll(m[1], `\`, "/"), 0))
		}
		for dir := path.Dir(name); ; dir = path.Dir(dir) {
			for _, shared := range []string{"Directory.Build.props", "Directory.Build.targets", "Directory.Packages.props", "NuGet.config", "nuget.config", "NuGet.Config", "packages.lock.json", "global.json", "Directory.Build.rsp", "Directory.Solution.props", "Directory.Solution.targets"} {
				image := path.Join(dir, shared)
				text := string(r.file(image))
				if text == "" || seen[image] {
					continue
				}
				seen[image] = true
				if dotnetImport.MatchString(text) || dotnetReference.MatchString(text) {
					return nil, shared + " names further files"
				}
				for _, m := range dotnetSource.FindAllStringSubmatch(text, -1) {
					if strings.EqualFold(path.Ext(shared), ".config") && !strings.Contains(m[1], "://") {
						return nil, shared + " names packages in a folder"
					}
				}
				more = append(more, image)
			}
			if dir == "/" || dir == "." || dir == baseDir {
				break // MSBuild and NuGet look all the way up
			}
		}
	}
	return more, ""
}
