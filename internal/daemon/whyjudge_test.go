package daemon_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stokerd/stoker/internal/api"
)

// judge says what is wrong about what was said of a step.
func (w *whyWalk) judge(why api.Why, s api.WhyStep) string {
	switch s.Outcome {
	case "cascaded":
		if s.Cause == nil || s.Cause.Kind != "input" || s.Cause.Step == "" {
			return "it does not say what it follows"
		}
		if i := slices.IndexFunc(why.Steps, func(o api.WhyStep) bool { return o.Name == s.Cause.Step }); i < 0 || why.Steps[i].Outcome == "hit" {
			return "it follows what did not run"
		}
		return ""
	case "executed":
	default:
		if s.Cause != nil {
			return "it did not run"
		}
		return ""
	}
	if s.Cause == nil {
		return "it has no cause"
	}
	before, known := w.builds[s.Against]
	if !known && s.Cause.Kind != "first" && s.Cause.Kind != "no-cache" {
		return "it is compared with no build"
	}
	previous := ""
	for _, c := range append([]api.WhyCause{*s.Cause}, s.More...) {
		if wrong := w.judgeCause(c, s, before); wrong != "" {
			return wrong
		}
		previous += c.Kind + " "
	}
	if len(w.builds) > 1 && w.noCache && s.Cause.Kind != "no-cache" {
		return "the build had no cache to look into"
	}
	return ""
}

func (w *whyWalk) judgeCause(c api.WhyCause, s api.WhyStep, before worldly) string {
	switch c.Kind {
	case "first":
		if len(w.builds) > 1 {
			return "it was built before"
		}
	case "no-cache":
		if !w.noCache {
			return "it was not told so"
		}
	case "gone":
		if w.now.prunes == before.prunes {
			return "nothing was pruned"
		}
	case "base":
		if w.now.base == before.base || c.Before == c.After || c.Before == "" {
			return "the base image is the same"
		}
	case "arg":
		if w.now.args[c.Name] == before.args[c.Name] && line(w.now.dockerfile, "ARG "+c.Name) == line(before.dockerfile, "ARG "+c.Name) {
			return "the value is the same"
		}
	case "env":
		if c.Name != "KIND" || line(w.now.dockerfile, "ENV KIND") == line(before.dockerfile, "ENV KIND") {
			return "the variable is the same"
		}
	case "dockerfile":
		if c.Before == c.After || !strings.Contains(w.now.dockerfile, c.After) || !strings.Contains(before.dockerfile, c.Before) {
			return "the versions are not those of the Dockerfiles"
		}
	case "files":
		name := s.Name
		if c.Step != "" {
			name = c.Step
		}
		var got []string
		for _, p := range c.Paths {
			got = append(got, p.Path+" "+p.Change)
		}
		slices.Sort(got)
		if want := w.differ(before, name); !slices.Equal(want, got) || len(got) == 0 {
			return fmt.Sprintf("the files that differ are %q", want)
		}
	default:
		return "that is no cause"
	}
	return ""
}

// line returns the line of a text that begins with words.
func line(text, prefix string) string {
	for l := range strings.Lines(text) {
		if strings.HasPrefix(l, prefix) {
			return l
		}
	}
	return ""
}

// differ returns how what a step takes differs from what it took before.
func (w *whyWalk) differ(before worldly, name string) []string {
	var list []string
	for _, path := range slices.Sorted(maps.Keys(union(before.files, w.now.files))) {
		a, b := before.files[path], w.now.files[path]
		if !w.takes(name, path, before) {
			a = ""
		}
		if !w.takes(name, path, w.now) {
			b = ""
		}
		switch {
		case a == b:
		case a == "":
			list = append(list, path+" added")
		case b == "":
			list = append(list, path+" removed")
		case a[10:] != b[10:]:
			list = append(list, path+" content")
		default:
			list = append(list, path+" mode")
		}
	}
	slices.Sort(list)
	return list
}

func union(a, b map[string]string) map[string]string {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}
