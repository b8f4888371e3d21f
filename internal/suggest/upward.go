package suggest

import (
	"cmp"
	"encoding/json"
	"path"
	"slices"

	"github.com/pelletier/go-toml/v2"
)

// An above says which files a tool also looks for in the folders above its working folder.
type above struct {
	settings []string // read in every folder
	root     []string // read in a folder where one of them is the root of a workspace
}

// abovesOf returns the files of a tool.
func abovesOf(tool string) above {
	switch tool {
	case "npm", "yarn", "pnpm", "bun":
		return above{[]string{".npmrc", ".yarnrc", ".yarnrc.yml"}, []string{
			"package.json", "pnpm-workspace.yaml", "package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml", "bun.lock", "bun.lockb", "bunfig.toml",
		}}
	case "uv", "poetry", "pipenv", "pdm":
		return above{[]string{"uv.toml", ".python-version", ".python-versions", "poetry.toml"}, []string{"pyproject.toml", "uv.lock"}}
	case "cargo":
		return above{[]string{"rust-toolchain", "rust-toolchain.toml", ".cargo/config.toml", ".cargo/config"}, []string{"Cargo.toml", "Cargo.lock"}}
	case "maven":
		return above{[]string{".mvn/maven.config", ".mvn/jvm.config", ".mvn/extensions.xml", ".mvn/settings.xml"}, nil}
	case "gradle":
		return above{[]string{"gradle.properties"}, []string{"settings.gradle", "settings.gradle.kts"}}
	case "bundler", "mix":
		return above{[]string{".bundle/config", ".ruby-version", ".tool-versions"}, nil}
	}
	return above{}
}

// upward returns the files, as image paths, that an install reads in the folders above its
// own. There is an obstacle if one of them makes it an install of a whole workspace, or has uv look
// for packages in a folder.
func upward(r reader, tool string) (more []string, obstacle string) {
	look := abovesOf(tool)
	there := func(image string) bool {
		_, ok := r.find(image)
		return ok
	}
	for dir := path.Dir(r.dir); ; dir = path.Dir(dir) {
		names := slices.Clone(look.settings)
		if i := slices.IndexFunc(look.root, func(name string) bool {
			image := path.Join(dir, name)
			return there(image) && rootOfWorkspace(name, r.file(image))
		}); i >= 0 {
			names = append(names, look.root...)
			obstacle = cmp.Or(obstacle, path.Join(dir, look.root[i])+" is of a workspace: the install looks at the other members as well")
		}
		if manifest := path.Join(dir, "package.json"); (tool == "yarn" || tool == "pnpm") && there(manifest) && namesManager(r.file(manifest)) {
			names = append(names, "package.json", ".corepack.env")
		}
		if project := path.Join(dir, "pyproject.toml"); tool == "uv" && there(project) {
			if settings, ok := uvSettings(r.file(project)); settings != nil || !ok {
				names = append(names, "pyproject.toml")
				if at := uvPlace(settings); at != "" {
					obstacle = cmp.Or(obstacle, project+" has uv look for packages in a folder: "+at)
				}
			}
		}
		for _, name := range names {
			image := path.Join(dir, name)
			if !there(image) {
				continue
			}
			more = append(more, image)
			var settings map[string]any
			if name == "uv.toml" && (toml.Unmarshal(r.file(image), &settings) != nil || uvPlace(settings) != "") {
				obstacle = cmp.Or(obstacle, image+" has uv look for packages in a folder")
			}
		}
		if dir == "/" || dir == "." || dir == baseDir {
			return more, obstacle
		}
	}
}

// uvSettings returns the settings of uv in a pyproject.toml, or nil if there are none. It reports
// false if the file cannot be read.
func uvSettings(text []byte) (map[string]any, bool) {
	var project map[string]any
	err := toml.Unmarshal(text, &project)
	return section(project, "tool", "uv"), err == nil
}

// namesManager reports whether a package.json selects a version of the package manager, or
// cannot be read.
func namesManager(text []byte) bool {
	var pkg packageJSON
	return json.Unmarshal(text, &pkg) != nil || pkg.PackageManager != ""
}

// rootOfWorkspace reports whether a file names the members of a workspace, or cannot be read.
func rootOfWorkspace(name string, text []byte) bool {
	switch name {
	case "package.json":
		var pkg packageJSON
		return json.Unmarshal(text, &pkg) != nil || len(pkg.workspaces()) > 0
	case "Cargo.toml", "pyproject.toml":
		var m map[string]any
		return toml.Unmarshal(text, &m) != nil || m["workspace"] != nil || section(m, "tool", "uv", "workspace") != nil
	}
	return slices.Contains([]string{"pnpm-workspace.yaml", "settings.gradle", "settings.gradle.kts"}, name)
}
