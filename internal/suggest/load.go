package suggest

import (
	"fmt"
	"math"
	"path"
	"slices"
	"strings"

	"github.com/docker/go-units"

	"github.com/stokerd/stoker/context/dockerfile"
)

// What a COPY or ADD costs that was never observed, in seconds. docs/costs.md says how these were
// measured.
const (
	copyAny  = 0.05    // whatever it takes
	copyByte = 1.2e-9  // 1.2 s for each GB
	copyFile = 0.15e-3 // 0.15 s for each 1,000 files
	// copyUnknown is for what comes from another stage, an image, an address or a named context,
	// whose size nobody knows before it is built: it is that of 300 files with 4 MB.
	copyUnknown = 0.1
)

// A load is what a COPY or ADD takes of the build context.
type load struct {
	files int
	bytes int64
	known bool // else it also takes, or may take, something from elsewhere
}

// seconds estimates how long it takes to copy the load, in steps of 0.01 s: it is not known any better.
func (l load) seconds() float64 {
	if !l.known {
		return copyUnknown
	}
	return math.Round(100*(copyAny+copyByte*float64(l.bytes)+copyFile*float64(l.files))) / 100
}

// String describes the load: "12 files with 3.4 MB".
func (l load) String() string {
	if l.files == 1 {
		return "1 file with " + units.HumanSizeWithPrecision(float64(l.bytes), 3)
	}
	return fmt.Sprintf("%d files with %s", l.files, units.HumanSizeWithPrecision(float64(l.bytes), 3))
}

// A scale weighs what the steps of a plan copy from the build context.
type scale struct {
	in     Input
	build  Build
	plan   *dockerfile.Plan
	takers func(path string) []int // as of Build.Takers
	ignore []byte                  // as for Build.Takers
}

// load returns what step i of the plan copies.
func (s scale) load(i int) load {
	step := s.plan.Steps[i]
	takes := slices.DeleteFunc(slices.Clone(step.Takes), func(t dockerfile.Take) bool { return t.Mount })
	elsewhere := func(t dockerfile.Take) bool { return t.Local != dockerfile.MainContext }
	remote := strings.Contains(step.Instruction, "://") || strings.Contains(step.Instruction, "git@")
	if len(step.From) > 0 || remote || slices.ContainsFunc(takes, elsewhere) || len(takes) == 0 && !strings.Contains(step.Instruction, "<<") {
		return load{}
	}
	sum := load{known: true}
	whole := s.ignore != nil // files have to be asked about one by one
	for _, t := range takes {
		whole = whole || t.Wildcard && strings.ContainsAny(t.Path, "*?[") || len(t.Include)+len(t.Exclude) > 0
		files, bytes := s.build.Context.Below(t.Path)
		sum.files, sum.bytes = sum.files+files, sum.bytes+bytes
	}
	if !whole {
		return sum
	}
	key := fmt.Sprintf("%s %v %q", s.build.Name, takes, s.ignore)
	memory := s.in.shared
	if memory != nil {
		if known, ok := memory.loads[key]; ok {
			return known
		}
	}
	sum = load{known: true}
	for name := range s.build.Context.Files() {
		if slices.Contains(s.takers(path.Join(s.build.Dir, name)), i) {
			sum.files, sum.bytes = sum.files+1, sum.bytes+s.build.Context.Size(name)
		}
	}
	if memory != nil {
		memory.loads[key] = sum
	}
	return sum
}

// loadOf returns what the COPY or ADD copies that starts on a line of the Dockerfile as it is.
func (in Input) loadOf(line int) load {
	b := in.Builds[0]
	if b.Plan == nil || b.Takers == nil {
		return load{}
	}
	i := slices.IndexFunc(b.Plan.Steps, func(s dockerfile.Step) bool { return s.Lines.From == line && !s.OnBuild })
	if i < 0 {
		return load{}
	}
	takers, err := b.Takers(b.Plan, nil)
	if err != nil {
		return load{}
	}
	return scale{in: in, build: b, plan: b.Plan, takers: takers}.load(i)
}
