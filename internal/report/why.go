package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/context/content"
	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/api"
)

// A Comparer returns the differences between two stored manifests, given by their digests.
type Comparer func(before, after string) ([]content.Difference, error)

// Why reports why the steps of a build ran. explained is by step. If step is not "", only the
// steps that it names are reported. The error is an *api.Error if there is no such step, or
// compare's.
func Why(b cache.Build, explained []cache.Explanation, step string, compare Comparer) (api.Why, error) {
	hits, needed := b.Hits()
	w := api.Why{
		Schema: api.WhySchema, Ref: b.Ref, Builder: b.Builder, Definition: b.Definition, Status: string(b.Status), Interrupted: b.Status == cache.Canceled,
		Completed: b.Completed, Seconds: b.Seconds(), Error: b.Error, Hits: hits, Needed: needed, Steps: []api.WhyStep{}, Notes: whyNotes(b),
	}
	chosen, err := whySteps(b, step)
	if err != nil {
		return api.Why{}, err
	}
	for _, i := range chosen {
		s := b.Steps[i]
		out := api.WhyStep{
			Name: s.Name, Stage: s.Stage, Platform: s.Platform, Index: s.Index, Line: s.Line, Outcome: string(s.Outcome),
			Seconds: s.Seconds, Against: explained[i].Against,
		}
		var causes []api.WhyCause
		for _, c := range explained[i].Causes {
			cause, err := whyCause(b, i, c, compare)
			if err != nil {
				return api.Why{}, err
			}
			causes = append(causes, cause)
		}
		slices.SortStableFunc(causes, func(x, y api.WhyCause) int { return cmp.Compare(unclear(x), unclear(y)) })
		if len(causes) > 0 {
			out.Cause, out.More = &causes[0], causes[1:]
		}
		w.Steps = append(w.Steps, out)
	}
	return w, nil
}

// unclear orders causes: those that are known come before those that are not.
func unclear(c api.WhyCause) int {
	if c.Kind == string(cache.ByUnknown) {
		return 1
	}
	return 0
}

// whyNotes returns notes on the build as a whole.
func whyNotes(b cache.Build) []string {
	switch {
	case b.Evidence == nil && b.Status != cache.Completed:
		return []string{"BuildKit keeps no provenance of a build that did not succeed, so causes are not known"}
	case b.Evidence == nil:
		return []string{"what this build was made of was not kept, so causes are not known"}
	case b.Evidence.Presumed:
		return append([]string{presumed}, b.Evidence.Self...)
	}
	return b.Evidence.Self
}

// presumed is the note on a build that did not succeed but whose causes are known.
const presumed = "BuildKit keeps no provenance of a build that did not succeed: its causes are worked out from the files as they were while it ran"

// whySteps returns the steps of a build that a user means by text, or all for "".
func whySteps(b cache.Build, text string) ([]int, error) {
	plan := &dockerfile.Plan{}
	all := make([]int, len(b.Steps))
	for i, s := range b.Steps {
		all[i] = i
		plan.Steps = append(plan.Steps, dockerfile.Step{
			Name: s.Name, Stage: s.Stage, Platform: s.Platform, Index: s.Index, Total: s.Total, Lines: dockerfile.Lines{From: s.Line, To: s.Line},
		})
	}
	if text == "" {
		return all, nil
	}
	if found := plan.Find(text); len(found) > 0 {
		return found, nil
	}
	return nil, &api.Error{
		Code: api.BadInput, Message: fmt.Sprintf("no step of this build is %q", text), Hint: "there are " + stepNames(plan, all),
	}
}

// WhyNext reports the first cause that is known of why a step of the next build will run, or
// one that is not; nil if there is none. The error is compare's.
func WhyNext(b cache.Build, step int, explained cache.Explanation, compare Comparer) (*api.WhyCause, error) {
	var best *api.WhyCause
	for _, c := range explained.Causes {
		cause, err := whyCause(b, step, c, compare)
		if err != nil {
			return nil, err
		}
		if best == nil || unclear(cause) < unclear(*best) {
			best = &cause
		}
	}
	return best, nil
}

// whyCause reports one cause of why a step ran. A cause may be that of another step, on which
// this one is built.
func whyCause(b cache.Build, step int, c cache.Cause, compare Comparer) (api.WhyCause, error) {
	out := api.WhyCause{Kind: string(c.Kind), Name: c.Name, Line: c.Line, Before: c.Before, After: c.After, Reason: string(c.Gap)}
	if c.Step >= 0 && c.Step != step {
		out.Step = b.Steps[c.Step].Name
	}
	if c.Kind == cache.ByFiles {
		if c.Name == dockerfile.MainContext {
			out.Name = ""
		}
		differences, err := compare(c.TakenBefore, c.TakenAfter)
		if err != nil {
			return api.WhyCause{}, err
		}
		out.Paths = whyPaths(differences)
	}
	out.Text = whyText(b, c, out)
	if out.Step != "" && c.Kind != cache.ByInput {
		out.Text = "built on another state of " + placeOf(out.Step) + ": " + out.Text
	}
	return out, nil
}

// placeOf returns a step's name without the arguments of its instruction: "[build 3/7] COPY".
func placeOf(name string) string {
	place, instruction, ok := strings.Cut(name, "] ")
	if !ok {
		return name
	}
	keyword, _, _ := strings.Cut(instruction, " ")
	return place + "] " + keyword
}

// whyText returns a cause in words. out has its step and paths already.
func whyText(b cache.Build, c cache.Cause, out api.WhyCause) string {
	switch c.Kind {
	case cache.ByFiles:
		return filesText(out)
	case cache.ByArg, cache.ByEnv:
		return variableText(c)
	case cache.ByBase:
		what := "the base image"
		if c.Name != "" {
			what = "the image of " + c.Name
		}
		return what + " is another one now: " + short(c.Before) + " → " + short(c.After)
	case cache.ByDockerfile, cache.BySecret, cache.BySSH:
		return editText(c)
	case cache.ByPlatform:
		if c.Before == "" && c.After == "" {
			return "it is for another platform"
		}
		return "the platform was " + cmp.Or(c.Before, "the builder's") + ", and is " + cmp.Or(c.After, "the builder's")
	case cache.ByOptions:
		return "options of the build differ, such as its network or hosts, or of the client"
	case cache.ByDownload:
		return "what it downloads is another one"
	case cache.ByNoCache:
		return "the build was told not to use the cache (--no-cache)"
	case cache.ByGone:
		if c.Made.IsZero() {
			return "nothing that decides differs: its result was dropped from the cache (pruned or garbage collected)"
		}
		return "its result was dropped from the cache (pruned or garbage collected); it was there on " + c.Made.Local().Format("2006-01-02 15:04:05")
	case cache.ByFirst:
		return "no earlier build of this definition that was seen on this builder made it"
	case cache.ByEachBuild:
		return "it works right on local files (FROM a named context), for which BuildKit makes a key that no later build has"
	case cache.ByInput:
		if out.Step == "" {
			return "follows a step that ran"
		}
		return "follows " + placeOf(out.Step)
	}
	return gapText(b, c)
}

// variableText returns the cause in words that an ARG or ENV differs. It never has a value.
func variableText(c cache.Cause) string {
	word := strings.ToUpper(string(c.Kind))
	if c.Name == "" {
		return "the environment of the base image differs"
	}
	what := word + " " + c.Name
	switch c.How {
	case cache.GivenOther:
		return what + " was given another value"
	case cache.GivenNow:
		return what + " was given a value, and none before"
	case cache.NotGiven:
		return what + " was given no value, and one before"
	case cache.Edited:
		if c.Line == 0 {
			return what + " was removed from the Dockerfile"
		}
		return fmt.Sprintf("%s was edited in the Dockerfile (line %d)", what, c.Line)
	case cache.Derived:
		return what + " has another value because " + c.Through + " has"
	}
	return what + " has another value"
}

// editText returns the cause in words that an instruction was edited.
func editText(c cache.Cause) string {
	what := "the Dockerfile was edited"
	switch c.Kind {
	case cache.BySecret:
		what = "the mount of a secret was added, removed or changed"
	case cache.BySSH:
		what = "the mount of an ssh agent was added, removed or changed"
	}
	switch {
	case c.Before == "" && c.After == "":
		return what + " above"
	case c.Before == "":
		return fmt.Sprintf("%s: line %d is new", what, c.Line)
	case c.After == "":
		return what + ": an instruction is gone"
	case c.Before == c.After && strings.Contains(c.After, "<<"): // only the first line of a heredoc is kept
		return fmt.Sprintf("%s: the text of the heredoc at line %d", what, c.Line)
	case c.Before == c.After:
		return fmt.Sprintf("%s: line %d has other text than it shows here", what, c.Line)
	case slices.Equal(strings.Fields(c.Before), strings.Fields(c.After)):
		return fmt.Sprintf("%s: white space in line %d", what, c.Line)
	}
	return fmt.Sprintf("%s: line %d", what, c.Line)
}

// gapText returns in words why a cause is not known.
func gapText(b cache.Build, c cache.Cause) string {
	if e := b.Evidence; e != nil && e.Bare != "" && !c.Earlier {
		return "not known: BuildKit keeps no provenance of a build that did not succeed, and " + map[cache.Gap]string{
			cache.Unwatched: "nobody watched while it ran",
			cache.Moving:    "the Dockerfile was edited while it ran",
			cache.Unmatched: "what its files, as they were, make of it is not for sure what was built",
		}[e.Bare]
	}
	whose := "this build"
	if c.Earlier {
		whose = "the build before"
	}
	switch c.Gap {
	case cache.Unwatched:
		return "not known: nobody watched its files while " + whose + " ran (the daemon was off, or had just met this build)"
	case cache.Undeclared:
		if c.Name == dockerfile.MainContext {
			return "not known: no definition describes " + whose + ", so nobody watched its files while it ran (declare it in a compose or bake file)"
		}
		return "not known: " + whose + " was given the folder of context " + c.Name + " by its client, which tells nobody which one that is (declare it in a compose or bake file)"
	case cache.Moving:
		return "not known: its files changed while " + whose + " sent them"
	case cache.Unseen:
		return "not known: files had changed in a way that the builder does not see when " + whose + " ran (touch them)"
	case cache.Unreadable:
		return "not known: files that it takes could not be read when " + whose + " ran"
	case cache.Unmatched:
		return "not known: what stoker works out of the files is not for sure what " + whose + " was made of"
	case cache.Remote:
		return "not known: the builder does not tell what a download gave"
	}
	return "not known: nothing is kept of what " + whose + " was made of"
}

// short shortens a digest to twelve digits, as docker does.
func short(digest string) string {
	if hex, ok := strings.CutPrefix(digest, "sha256:"); ok && len(hex) > 12 {
		return "sha256:" + hex[:12]
	}
	return cmp.Or(digest, "unknown")
}
