package buildctx

import (
	"path"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
)

// untaken lists the sources on which a build must fail: paths without wildcards
// that do not exist, wildcards whose parent directory does not exist, and broken
// links that a wildcard matches.
func untaken(s *Selection) []string {
	var list []string
	for i, step := range s.Plan.Steps {
		for _, take := range step.Takes {
			name := take.Path + strings.Join(take.Include, "")
			switch {
			case take.Path == "." && len(take.Include) == 0:
			case !strings.ContainsAny(name, "*?["):
				if !taken(s, take) {
					list = append(list, name)
				}
			default:
				// The wildcards of these cases stand in the last component.
				dir := path.Dir(take.Path)
				switch {
				case len(take.Include) > 0: // see doubtful
				case !taken(s, dockerfile.Take{Local: take.Local, Path: dir}),
					// Each COPY from a named context has a request of its own.
					take.Local != dockerfile.MainContext && dir != "." && !takenBy(s, take.Local, dir, i):
					list = append(list, dir)
				default:
					list = append(list, brokenMatches(s, take)...)
				}
			}
		}
	}
	return list
}

// brokenMatches lists the broken links that the wildcards of take match.
func brokenMatches(s *Selection, take dockerfile.Take) []string {
	var list []string
	for _, l := range s.Locals() {
		for f := range l.All() {
			if ok, _ := path.Match(path.Join(take.Path, strings.Join(take.Include, "")), f.Path); !ok || l.Name != take.Local || f.Link == "" || !f.Sent {
				continue
			}
			if _, ok := l.Resolve(f.Path); !ok {
				list = append(list, f.Path)
			}
		}
	}
	return list
}

// doubtful reports whether --parents matches a broken link, or --exclude leaves one in.
// BuildKit fails on some of those and not on others (BuildKit: cache/contenthash,
// Checksum with patterns).
func doubtful(s *Selection) bool {
	for i, step := range s.Plan.Steps {
		for _, take := range step.Takes {
			if len(take.Include) > 0 && len(brokenMatches(s, take)) > 0 || len(take.Exclude) > 0 && takesBroken(s, take.Local, i) {
				return true
			}
		}
	}
	return false
}

// takesBroken reports whether a step takes a broken link of the context named local.
func takesBroken(s *Selection, local string, step int) bool {
	for _, l := range s.Locals() {
		for f := range l.All() {
			if _, ok := l.Resolve(f.Path); l.Name == local && f.Link != "" && !ok && slices.Contains(f.Steps, step) {
				return true
			}
		}
	}
	return false
}

// takenBy reports whether a step takes the directory dir of the context named local, or
// anything in it.
func takenBy(s *Selection, local, dir string, step int) bool {
	for _, l := range s.Locals() {
		for f := range l.All() {
			if l.Name == local && slices.Contains(f.Steps, step) && strings.HasPrefix(f.Path+"/", path.Clean("/" + dir)[1:]+"/") {
				return true
			}
		}
	}
	return false
}

// taken reports whether the path of take, which has no wildcards, exists in its context.
func taken(s *Selection, take dockerfile.Take) bool {
	for _, l := range s.Locals() {
		if l.Name == take.Local {
			name := path.Join(take.Path, strings.Join(take.Include, ""))
			_, ok := l.Resolve(name)
			return ok || name == "."
		}
	}
	return false
}
