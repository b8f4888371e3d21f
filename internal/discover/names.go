package discover

import (
	"path"
	"slices"
	"strconv"
	"strings"

	buildctx "github.com/stokerd/stoker/context"
)

// nameAll makes the names unique and usable on a command line. Of several definitions with
// one name the first keeps it; another one is prefixed with its directory, else with the
// kind of its origin, else it gets a number. The order is that of discovery: compose, bake,
// Dockerfiles, and upper directories first.
func nameAll(definitions []buildctx.Definition) {
	taken := map[string]bool{}
	for i := range definitions {
		d := &definitions[i]
		name := cleanName(d.Name)
		dir := cleanName(strings.ReplaceAll(path.Dir(d.Origin), "/", "-"))
		within := dir + "-" + name
		if strings.HasSuffix(dir, "-"+name) {
			within = dir // not web-web
		}
		choices := []string{name, within, kind(d.Origin) + "-" + name}
		if path.Dir(d.Origin) == "." {
			choices = slices.Delete(choices, 1, 2)
		}
		free := slices.IndexFunc(choices, func(c string) bool { return !taken[c] })
		if free >= 0 {
			d.Name = choices[free]
		} else {
			d.Name = name
			for n := 2; taken[d.Name]; n++ {
				d.Name = name + "-" + strconv.Itoa(n)
			}
		}
		taken[d.Name] = true
	}
}

// kind returns the kind of file that an origin is, as a word for names.
func kind(origin string) string {
	base := path.Base(origin)
	switch {
	case origin == buildctx.Observed:
		return "observed"
	case isDockerfile(base):
		return "dockerfile"
	case strings.HasPrefix(base, "docker-bake"):
		return "bake"
	default:
		return "compose"
	}
}

// cleanName replaces what would need quotes on a command line: a name has letters, digits,
// dots, underscores and dashes.
func cleanName(name string) string {
	clean := strings.Map(func(r rune) rune {
		if strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", r) {
			return r
		}
		return '-'
	}, name)
	clean = strings.Trim(clean, ".-")
	if clean == "" {
		return "build"
	}
	return clean
}

// dockerfileName returns the name of the definition for a Dockerfile: api for
// api.Dockerfile, Dockerfile.api and Dockerfile-api, and otherwise the name of its
// directory. A directory called docker is named after its parent, since each component of
// a repository may have one; the root after the repository.
func dockerfileName(rel, repository string) string {
	base := path.Base(rel)
	for _, word := range dockerfileKinds() {
		if suffix, ok := strings.CutPrefix(base, word); ok && suffix != "" {
			base = strings.TrimLeft(suffix, separators)
		}
		base = strings.TrimSuffix(base, "."+word)
		base = strings.TrimSuffix(base, "."+strings.ToLower(word))
		if base == word || base == lowerDockerfile {
			base = ""
		}
	}
	dir := path.Dir(rel)
	if above := path.Dir(dir); above != "." && slices.Contains([]string{"docker", ".docker"}, path.Base(dir)) {
		dir = above
	}
	switch {
	case base != "":
		return base
	case dir == ".":
		return repository
	default:
		return path.Base(dir)
	}
}
