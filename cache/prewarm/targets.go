package prewarm

import (
	"bytes"
	"regexp"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
)

// A Level says how far warming goes.
type Level string

// The levels, each including the one before.
const (
	Off  Level = "off"
	Base Level = "base" // pull base images: nothing of the repository runs or is sent
	Deps Level = "deps" // the steps up to the last that installs dependencies
	All  Level = "all"  // every step
)

// Rank orders levels; an unknown one is below Off.
func (l Level) Rank() int { return slices.Index([]Level{Off, Base, Deps, All}, l) }

// A Target is something to solve for a level: a Dockerfile's text, cut after the
// step that is wanted. Keys of steps do not depend on what follows them.
type Target struct {
	Text []byte
	// Whole reports that Text is the file itself; the definition's own target
	// then counts, else the last stage of Text.
	Whole bool
	// Steps are the names of the steps that are wanted, for messages.
	Steps []string
}

// Targets returns what to solve so that plan is warm to level, in the order of
// the Dockerfile whose text is given. Base needs no solve: see Plan.Bases. A
// plan without a step that installs dependencies has nothing to do for Deps.
func Targets(plan *dockerfile.Plan, text []byte, level Level) []Target {
	switch level {
	case All:
		t := Target{Text: text, Whole: true}
		for _, s := range plan.Steps {
			t.Steps = append(t.Steps, s.Name)
		}
		return []Target{t}
	case Deps:
		return dependencyTargets(plan, text)
	}
	return nil
}

// dependencyTargets cuts the text once per stage, after its last dependency
// step.
func dependencyTargets(plan *dockerfile.Plan, text []byte) []Target {
	last := map[string]dockerfile.Step{}
	for _, s := range plan.Steps {
		if !s.OnBuild && isDependency(s) && s.Lines.From >= last[s.Stage].Lines.From {
			last[s.Stage] = s
		}
	}
	steps := make([]dockerfile.Step, 0, len(last))
	for _, s := range last {
		steps = append(steps, s)
	}
	slices.SortFunc(steps, func(a, b dockerfile.Step) int { return a.Lines.From - b.Lines.From })
	targets := make([]Target, 0, len(steps))
	for _, s := range steps {
		targets = append(targets, Target{Text: firstLines(text, s.Lines.To), Steps: []string{s.Name}})
	}
	return targets
}

func firstLines(text []byte, n int) []byte {
	end := 0
	for ; n > 0 && end < len(text); n-- {
		i := bytes.IndexByte(text[end:], '\n')
		if i < 0 {
			return text
		}
		end += i + 1
	}
	return text[:end]
}

// installs matches the commands that fetch dependencies. A command that it does
// not know only means that less is warmed ahead.
var installs = regexp.MustCompile(`(^|[\s;&|(])(` + strings.Join([]string{
	`npm (ci|install|i)\b`, `yarn( install)?( --[\w-]+)*\s*($|[;&|])`, `pnpm (install|i|fetch)\b`, `bun (install|i)\b`,
	`pip3? install\b`, `python3? -m pip install\b`, `uv (sync|pip install)\b`, `poetry install\b`, `pipenv (install|sync)\b`, `pdm (install|sync)\b`,
	`go mod download\b`, `go install\b`, `cargo (fetch|chef cook)\b`, `bundle install\b`, `composer install\b`,
	`dotnet restore\b`, `mix deps\.(get|compile)\b`, `mvnw? .*dependency:`, `\S*gradlew? .*dependencies\b`,
	`(apt-get|apt)( -\S+)* install\b`, `apk( --?\S+)* add\b`, `(dnf|yum|microdnf)( -\S+)* install\b`,
}, "|") + `)`)

// isDependency reports whether a step fetches what the build depends on, which
// changes less often than the sources and takes longest.
func isDependency(s dockerfile.Step) bool {
	return s.Keyword == "RUN" && installs.MatchString(s.Instruction)
}
