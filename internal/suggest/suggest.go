// Package suggest proposes better Dockerfiles, with the evidence for each
// proposal.
//
// [Suggest] is pure: an [Input] holds the Dockerfile, what its steps take of the
// build context, the history of the repository and the costs of steps; each
// rule turns it into a [Suggestion]. A rule lives in one file, has one page in
// docs/rules and one folder in testdata. [Apply] is the only part that writes.
//
// A suggestion's saving is the difference of two replays: see [Replay]. Its
// edit leaves everything alone that it does not have to touch, and exists only
// where what every moved step reads and writes is known; otherwise the
// suggestion is advice and says what is in the way.
//
// All values are immutable once returned and safe for concurrent use.
package suggest

import (
	"cmp"
	"slices"

	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/changes"
)

// A Proof says how far a suggestion is known to leave the image as it is.
type Proof string

// The proof levels.
const (
	Verified       Proof = "verified"        // both versions were built and compared
	ByConstruction Proof = "by-construction" // only moves over steps whose effects are known
	Advice         Proof = "advice"          // no edit: something is in the way
)

// The sources of a cost.
const (
	Observed = "observed" // medians of this repository's builds
	Prior    = "prior"    // at least one step by the built-in table
)

// An Input is what the rules look at.
type Input struct {
	File *dockerfile.File
	Path string // the Dockerfile, relative to the repository, slash-separated
	// Builds are the definitions that build this Dockerfile; the first is the
	// one asked about. An edit has to be right for all of them.
	Builds []Build
	// Commits are the change sets to replay, oldest first; none is allowed.
	Commits []changes.Commit
	// Seconds are medians of observed execution times, by instruction as
	// dockerfile.Instruction.Text gives it.
	Seconds map[string]float64
}

// A Build is one definition of the Dockerfile.
type Build struct {
	Name    string
	Target  string // "" is the last stage
	Context Context
	// Dir is the context directory relative to the repository; "" is its root.
	Dir    string
	Ignore IgnoreFile
}

// Context tells what the steps of a build take of its context. Paths are
// relative to it and slash-separated. Answers are about the rules, not only
// about the files of today: history asks about files that are gone.
type Context interface {
	// Takes reports whether the instruction that starts on the line takes a
	// file at path, which the ignore file must leave.
	Takes(line int, path string) bool
	// Exists reports whether the ignore file leaves a file, or files below a
	// directory, at path today.
	Exists(path string) bool
	// Read returns the file's content.
	Read(path string) ([]byte, error)
}

// An IgnoreFile is the ignore file of a build.
type IgnoreFile struct {
	Path   string // relative to the repository; where it would be created if Text is nil
	Text   []byte
	Shared bool // definitions of other Dockerfiles use it as well
}

// A Suggestion is a proposed change with its evidence.
type Suggestion struct {
	Rule     string
	Title    string
	Lines    dockerfile.Lines // in the Dockerfile
	Evidence string           // one sentence with numbers
	Obstacle string           // of advice: why there is no edit
	// SavesSeconds is per build, averaged over the history; 0 for advice and
	// where there is no history.
	SavesSeconds float64
	// HitRate is that of the stage concerned, 0..1, now and with the change.
	HitRate struct{ Before, After float64 }
	Costs   string // Observed or Prior
	Proof   Proof
	Changes []Change // empty for advice
}

// A Change is what a suggestion makes of one file.
type Change struct {
	Path     string // relative to the repository, slash-separated
	Old, New []byte // Old is nil for a file that does not exist
}

// A Rule finds one kind of improvement. It has a page docs/rules/NAME.md and a
// folder testdata/NAME.
type Rule struct {
	Name string
	// Find returns what the rule proposes; each suggestion bears its name.
	Find func(Input) []Suggestion
}

// Rules returns every rule, one a line.
func Rules() []Rule {
	return []Rule{
		{"manifests-first", manifestsFirst},
	}
}

// Suggest returns what the rules propose, most seconds saved first.
func Suggest(in Input) []Suggestion {
	if in.File == nil || len(in.Builds) == 0 {
		return nil
	}
	var list []Suggestion
	for _, rule := range Rules() {
		list = append(list, rule.Find(in)...)
	}
	slices.SortStableFunc(list, func(a, b Suggestion) int { return cmp.Compare(b.SavesSeconds, a.SavesSeconds) })
	return list
}
