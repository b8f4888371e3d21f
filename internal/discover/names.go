package discover

import (
	"path"
	"slices"
	"strconv"
	"strings"

	buildctx "github.com/stokerd/stoker/context"
)

// nameAll makes the names unique. The first of several keeps its name (compose
// before bake before Dockerfiles, upper directories before lower); the others
// get their directory before it, then their origin's kind, then a number.
func nameAll(definitions []buildctx.Definition) {
	taken := map[string]bool{}
	for i := range definitions {
		d := &definitions[i]
		name := cleanName(d.Name)
		dir := cleanName(strings.ReplaceAll(path.Dir(d.Origin), "/", "-"))
		within := dir + "-" + name
		if strings.HasSuffix(dir, "-"+name) {
			within = dir // which says it
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

// kind is the sort of file that origin is.
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

// cleanName keeps a name usable on a command line: letters, digits, and . _ -.
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

// dockerfileName is the name that a Dockerfile without a definition gets: api for
// api.Dockerfile, Dockerfile.api and Dockerfile-api, else that of its directory: of api
// for api/docker, as every component of a repository may have a folder docker.
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
