package discover

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// maxSize is the size, in bytes, above which a file is not read. People write definitions by
// hand, and far smaller ones.
const maxSize = 4 << 20

// candidates are the files that, by their names, may define builds. Paths are relative and
// slash-separated.
type candidates struct {
	compose     [][]string  // per project: its main file, and the override if there is one
	bake        []bakeFiles // per directory
	dockerfiles []string
}

// bakeFiles are the bake files of a directory, and the compose files that buildx reads
// before them, each in the order of reading.
type bakeFiles struct{ bake, compose []string }

// composeNames returns the names of main files, preferred first (compose:
// cli.DefaultFileNames).
func composeNames() []string {
	return []string{"compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"}
}

// composeOverrides returns the names of override files, preferred first (compose:
// cli.DefaultOverrideFileNames).
func composeOverrides() []string {
	return []string{"compose.override.yml", "compose.override.yaml", "docker-compose.override.yml", "docker-compose.override.yaml"}
}

// bakeNames returns the names of bake files; later ones override earlier ones (buildx:
// bake.DefaultFilenames, without the compose files in it).
func bakeNames() []string {
	return []string{"docker-bake.json", "docker-bake.hcl", "docker-bake.override.json", "docker-bake.override.hcl"}
}

// lowerDockerfile is the name that clients of BuildKit fall back to if there is no
// Dockerfile (buildx: handleLowercaseDockerfile).
const lowerDockerfile = "dockerfile"

// isDockerfile reports whether a file with the base name counts as a Dockerfile.
func isDockerfile(base string) bool {
	if base == lowerDockerfile {
		return true
	}
	for _, kind := range dockerfileKinds() {
		if base == kind {
			return true
		}
		if suffix, ok := strings.CutPrefix(base, kind); ok && len(suffix) > 1 && strings.ContainsRune(separators, rune(suffix[0])) {
			return !otherSuffix(strings.ToLower(path.Ext(base)))
		}
		for _, ending := range []string{"." + kind, "." + strings.ToLower(kind)} {
			if len(base) > len(ending) && strings.HasSuffix(base, ending) {
				return true
			}
		}
	}
	return false
}

// separators are what may follow "Dockerfile" in the name of one of several: Dockerfile.web,
// Dockerfile-web, Dockerfile_web.
const separators = ".-_"

// dockerfileKinds returns the base names of Dockerfiles without a suffix.
func dockerfileKinds() []string { return []string{"Dockerfile", "Containerfile"} }

// otherSuffix reports whether ext, in lower case, marks a file that is related to a
// Dockerfile but not one: an ignore file, a template, a backup, a text or a program.
func otherSuffix(ext string) bool {
	switch ext {
	case ".dockerignore", ".containerignore",
		".cheetah", ".ejs", ".erb", ".gotmpl", ".haml", ".handlebars", ".hbs", ".in", ".j2", ".jinja", ".jinja2", ".jsonnet", ".liquid",
		".m4", ".mako", ".mustache", ".njk", ".template", ".tera", ".tmpl", ".tpl", ".twig", ".vm",
		".bak", ".backup", ".orig", ".patch", ".diff", ".rej", ".swp",
		".adoc", ".html", ".md", ".rst",
		".go", ".java", ".js", ".json", ".kt", ".php", ".pl", ".py", ".rb", ".rego", ".rs", ".sh", ".toml", ".ts", ".yaml", ".yml":
		return true
	}
	return strings.HasSuffix(ext, "~")
}

// skipped reports whether directories of this name are not searched: build files in
// testdata and the like are fixtures of tests, those in node_modules and vendor belong to
// dependencies, those in target are copies made by a build, and of hidden directories only
// .docker and the like hold builds that people run. Keep it in step with the directories
// that are not watched (project: outsideContexts).
func skipped(base string) bool {
	switch base {
	case "node_modules", "vendor", "venv", "__pycache__", "target", "testdata", "testfiles", "fixtures", "__fixtures__":
		return true
	}
	return strings.HasPrefix(base, ".") && !strings.HasPrefix(base, ".docker") || strings.HasPrefix(base, "testfiles-")
}

// interesting reports whether a file of this name may define builds.
func interesting(base string) bool {
	return isDockerfile(base) || slices.Contains(composeNames(), base) ||
		slices.Contains(composeOverrides(), base) || slices.Contains(bakeNames(), base)
}

// Concerns reports whether a change to the file at path (absolute; it may be
// new or gone) can change what Discover finds.
func (r Result) Concerns(path string) bool {
	if _, read := slices.BinarySearch(r.Files, path); read {
		return true
	}
	rel, err := filepath.Rel(r.root, path)
	if err != nil || !filepath.IsLocal(rel) {
		return false
	}
	return interesting(filepath.Base(rel)) && !inSkipped(filepath.ToSlash(rel))
}

// inSkipped reports whether a file, given relative to the repository, is in a directory that
// is not searched.
func inSkipped(rel string) bool {
	return slices.ContainsFunc(strings.Split(path.Dir(rel), "/"), func(dir string) bool { return dir != "." && skipped(dir) })
}

// candidates returns the candidates among the files of the repository, which the caller
// lists or a walk finds.
func (f *finder) candidates(ctx context.Context) (candidates, error) {
	var found []string
	if f.options.Paths != nil {
		for rel := range f.options.Paths {
			if interesting(path.Base(rel)) && !inSkipped(rel) {
				found = append(found, rel)
			}
		}
	} else if err := f.walk(ctx, &found); err != nil {
		return candidates{}, err
	}
	slices.Sort(found)
	byDir := map[string][]string{}
	var c candidates
	for _, rel := range found {
		if base := path.Base(rel); isDockerfile(base) {
			c.dockerfiles = append(c.dockerfiles, rel)
		} else {
			byDir[path.Dir(rel)] = append(byDir[path.Dir(rel)], base)
		}
	}
	dirs := make([]string, 0, len(byDir))
	for dir := range byDir {
		dirs = append(dirs, dir)
	}
	slices.Sort(dirs)
	for _, dir := range dirs {
		f.group(dir, byDir[dir], &c)
	}
	return c, nil
}

// group adds the compose project and the bake files of a directory to c. bases are the
// candidates in it.
func (f *finder) group(dir string, bases []string, c *candidates) {
	present := func(names []string) (here []string) {
		for _, name := range names {
			if slices.Contains(bases, name) {
				here = append(here, path.Join(dir, name))
			}
		}
		return here
	}
	main, overrides := present(composeNames()), present(composeOverrides())
	if len(main) > 1 {
		f.note(main[1], 0, "is not read because "+path.Base(main[0])+" beside it comes first")
	}
	if len(main) > 0 {
		c.compose = append(c.compose, append(main[:1:1], overrides[:min(1, len(overrides))]...))
	}
	if bake := present(bakeNames()); len(bake) > 0 {
		c.bake = append(c.bake, bakeFiles{bake, main})
	}
}

// walk appends the interesting files of the repository to found. A directory that cannot be
// read is left out: the scan of the contexts reports it.
func (f *finder) walk(ctx context.Context, found *[]string) error {
	return filepath.WalkDir(f.root, func(name string, d fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && name == f.root:
			return fmt.Errorf("read repository: %w", err)
		case err != nil:
			return nil
		case d.IsDir() && name != f.root && skipped(d.Name()):
			return fs.SkipDir
		case !d.IsDir() && interesting(d.Name()):
			*found = append(*found, f.rel(name))
		}
		return nil
	})
}

// regular returns an error unless there is a regular file of bounded size at an absolute
// path, so that to read it neither blocks nor goes on for ever.
func regular(name string) error {
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return errNotRegular
	case info.Size() > maxSize:
		return errTooLarge
	}
	return nil
}

// readFile reads a file, given relative to the repository, and records it.
func (f *finder) readFile(rel string) ([]byte, error) {
	name := filepath.Join(f.root, filepath.FromSlash(rel))
	f.read(name)
	if err := regular(name); err != nil {
		return nil, err
	}
	return os.ReadFile(name)
}
