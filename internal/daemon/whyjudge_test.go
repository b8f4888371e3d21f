package daemon_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stokerd/stoker/internal/api"
)

// judge returns what is wrong with the answer about a step of the last build, "" if it agrees
// with what the walk did.
func (w *whyWalk) judge(why api.Why, s api.WhyStep) string {
	switch s.Outcome {
	case "cascaded":
		return judgeCascaded(why, s)
	case "executed":
		return w.judgeExecuted(s)
	}
	if s.Cause != nil {
		return "it did not run, and has a cause"
	}
	return ""
}

// judgeCascaded is judge for a step that ran because one of its inputs did.
func judgeCascaded(why api.Why, s api.WhyStep) string {
	if s.Cause == nil || s.Cause.Kind != "input" || s.Cause.Step == "" {
		return "the step that it follows is not told"
	}
	if i := slices.IndexFunc(why.Steps, func(o api.WhyStep) bool { return o.Name == s.Cause.Step }); i < 0 || why.Steps[i].Outcome == "hit" {
		return "the step that it is told to follow did not run"
	}
	return ""
}

// judgeExecuted is judge for a step that broke the cache.
func (w *whyWalk) judgeExecuted(s api.WhyStep) string {
	if s.Cause == nil {
		return "it has no cause"
	}
	before, known := w.builds[s.Against]
	if !known && s.Cause.Kind != "first" && s.Cause.Kind != "no-cache" {
		return "it is compared with no build"
	}
	for _, c := range append([]api.WhyCause{*s.Cause}, s.More...) {
		if wrong := w.judgeCause(c, s, before); wrong != "" {
			return wrong
		}
	}
	if len(w.builds) > 1 && w.noCache && s.Cause.Kind != "no-cache" {
		return "the build was made without cache"
	}
	return ""
}

// judgeCause returns what is wrong with a cause of a step that broke the cache, which was
// compared with the build of the state before.
func (w *whyWalk) judgeCause(c api.WhyCause, s api.WhyStep, before worldly) string {
	switch c.Kind {
	case "first":
		if len(w.builds) > 1 {
			return "it was built before"
		}
	case "no-cache":
		if !w.noCache {
			return "the build was made with the cache"
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
		return "no step of a walk has this cause"
	}
	return ""
}

// line returns the first line of text that begins with prefix, "" if there is none.
func line(text, prefix string) string {
	for l := range strings.Lines(text) {
		if strings.HasPrefix(l, prefix) {
			return l
		}
	}
	return ""
}

// differ returns how the files that the step with this name takes now differ from those that
// it took before: a path and a word each, sorted.
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
		case a[modeLength:] != b[modeLength:]:
			list = append(list, path+" content")
		default:
			list = append(list, path+" mode")
		}
	}
	slices.Sort(list)
	return list
}

// modeLength is the length of the mode before the content of a file in worldly.files.
const modeLength = len("-rw-r--r--")

// union returns the entries of both maps, of b where both have a key.
func union(a, b map[string]string) map[string]string {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}
