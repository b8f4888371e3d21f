package scaffold

import (
	"encoding/json"
	"path"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

// workspaceRoots returns the members of each workspace of Node, by the folder that defines it.
func workspaceRoots(s *survey) map[string][]member {
	roots := map[string][]member{}
	for _, dir := range s.dirs {
		patterns := workspacePatterns(s, dir)
		if len(patterns) == 0 {
			continue
		}
		for _, d := range s.dirs {
			rel, ok := below(dir, d)
			if !ok || !matchesAny(patterns, rel) {
				continue
			}
			if m, ok := readManifest(s, d); ok {
				roots[dir] = append(roots[dir], member{dir: d, name: m.Name, build: m.Scripts["build"] != ""})
			}
		}
	}
	return roots
}

// below returns the folder d relative to dir; false if it is not below that.
func below(dir, d string) (string, bool) {
	if d == dir {
		return "", false
	}
	if dir == "." {
		return d, true
	}
	return strings.CutPrefix(d, dir+"/")
}

// workspacePatterns returns the patterns of a workspace's members, from pnpm's file or from
// package.json in the folder dir; none if it defines no workspace.
func workspacePatterns(s *survey, dir string) []string {
	if text := s.read(dir, "pnpm-workspace.yaml"); text != nil {
		var w struct {
			Packages []string `yaml:"packages"`
		}
		if yaml.Unmarshal(text, &w) == nil && len(w.Packages) > 0 {
			return w.Packages
		}
	}
	m, ok := readManifest(s, dir)
	if !ok || len(m.Workspaces) == 0 {
		return nil
	}
	var list []string
	if json.Unmarshal(m.Workspaces, &list) == nil {
		return list
	}
	var nested struct{ Packages []string }
	_ = json.Unmarshal(m.Workspaces, &nested) // neither form: no workspaces
	return nested.Packages
}

// matchesAny reports whether the last pattern that matches a folder does not begin with an
// exclamation mark, which excludes it.
func matchesAny(patterns []string, rel string) bool {
	in := false
	for _, p := range patterns {
		out := strings.HasPrefix(p, "!")
		p = strings.Trim(strings.TrimPrefix(strings.TrimPrefix(p, "!"), "./"), "/")
		if matches(strings.Split(p, "/"), strings.Split(rel, "/")) {
			in = !out
		}
	}
	return in
}

// matches reports whether a pattern matches a path, both split at slashes. ** matches any number
// of elements.
func matches(pattern, parts []string) bool {
	if len(pattern) == 0 {
		return len(parts) == 0
	}
	if pattern[0] == "**" {
		return anySuffix(pattern[1:], parts)
	}
	if len(parts) == 0 {
		return false
	}
	ok, err := path.Match(pattern[0], parts[0])
	return err == nil && ok && matches(pattern[1:], parts[1:])
}

// anySuffix reports whether a pattern matches the path without any number of its first elements.
func anySuffix(pattern, parts []string) bool {
	for i := range len(parts) + 1 {
		if matches(pattern, parts[i:]) {
			return true
		}
	}
	return false
}

// findMembers finds the members of its workspace that the app needs, each after those that it
// needs itself, and the manifests of all members, which an install reads.
func (n *node) findMembers(a *App, all []member) {
	seen := map[string]bool{}
	var visit func(w member)
	visit = func(w member) {
		if seen[w.dir] {
			return
		}
		seen[w.dir] = true
		m, _ := readManifest(n.s, w.dir)
		for _, other := range all {
			if other.name != "" && m.uses(other.name) {
				visit(other)
			}
		}
		n.members = append(n.members, w)
	}
	for _, w := range all {
		if w.dir == a.Dir {
			visit(w)
		}
	}
	for i, w := range n.members {
		n.members[i].dir, _ = below(a.Context, w.dir)
		n.build = n.build || w.build
		m, _ := readManifest(n.s, w.dir)
		if out, _, deep := strings.Cut(strings.TrimPrefix(m.Main, "./"), "/"); w.build && deep && slices.Contains([]string{"dist", "build", "lib", "out"}, out) {
			n.made = append(n.made, path.Join(n.members[i].dir, out))
		}
		if w.dir != a.Dir {
			a.say(path.Join(a.Dir, "package.json"), "needs %s", w.dir)
		}
	}
	for _, p := range workspacePatterns(n.s, a.Context) {
		p = strings.Trim(strings.TrimPrefix(p, "./"), "/")
		if !strings.HasPrefix(p, "!") && plain.MatchString(strings.ReplaceAll(p, "*", "x")) {
			n.parents = append(n.parents, p+"/package.json")
		}
	}
}
