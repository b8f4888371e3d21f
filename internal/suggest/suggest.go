// Package suggest proposes better Dockerfiles, with the evidence for each
// proposal.
//
// [Suggest] is pure: an [Input] holds the Dockerfile, what its steps take from the
// build context, the history of the repository and the costs of steps; each [Rule]
// turns it into [Suggestion] values. A rule lives in one file, has one page in
// docs/rules and one folder in testdata. [Applier] is the only part that writes.
//
// What a suggestion saves is the difference between two replays of the history, with
// the Dockerfile as it is and as proposed: see [Input.Replay]. An edit touches as few
// lines as it can, and is offered only where it is known what every moved step reads
// and writes. Otherwise the suggestion is advice, and names the obstacle.
//
// All values are immutable once returned and safe for concurrent use.
package suggest

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"

	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/changes"
)

// A Proof says how far a suggestion is known to leave the image as it is.
type Proof string

// The proof levels.
const (
	// Verified: both versions were built, and their images compared.
	Verified Proof = "verified"
	// ByConstruction: only steps with known effects are touched, in ways that leave
	// the image as it is.
	ByConstruction Proof = "by-construction"
	// Advice is for the reader to decide: the image changes on purpose, or there is an
	// obstacle. It is not applied, unless a build has proven one that is Provable.
	Advice Proof = "advice"
)

// The sources of a cost.
const (
	Observed = "observed" // medians of this repository's builds, sizes of its files
	Prior    = "prior"    // at least one step, or the size, by a built-in table
)

// The values of [Suggestion].BytesOf: where bytes are saved.
const (
	Image    = "image"
	Transfer = "transfer" // files sent to the builder per build, without those that it has
)

// An Input is what the rules look at.
type Input struct {
	File *dockerfile.File
	Path string // the Dockerfile, relative to the repository, slash-separated
	// Builds are the definitions that build this Dockerfile; the first is the
	// one asked about. An edit has to be right for all of them.
	Builds []Build
	// Commits are the change sets to replay; nil for none.
	Commits *changes.Log
	// Seconds are medians of observed execution times, by instruction as
	// dockerfile.Instruction.Text gives it.
	Seconds map[string]float64
	// Only names the rules to run; empty runs all.
	Only []string
	// Silenced names rules that the repository has turned off.
	Silenced []string
	// Memory keeps what inputs have in common that differ in which of the same builds is the first;
	// nil for none.
	Memory *Memory

	shared *shared // see Remembering
}

// A Build is one definition of the Dockerfile.
type Build struct {
	Name    string
	Target  string // "" is the last stage
	Context Context
	// Files is the same for builds of an Input whose contexts have the same files; "" if that is not
	// known.
	Files string
	// Dir is the context directory relative to the repository; "" is its root.
	Dir    string
	Ignore IgnoreFile
	// Args are the build args of the definition. A value may be a secret: never show it.
	Args map[string]string
	// Secrets are the paths, in the context, of files that hold secrets.
	Secrets []string
	// Services say how compose files start containers of the image; none where no
	// compose file does.
	Services []Service
	// Beside are the other definitions that share a copy of the context at the builder.
	Beside []Neighbour
	// Plan is the Dockerfile as it is; nil if it is not known.
	Plan *dockerfile.Plan
	// Convert has BuildKit's frontend convert a proposed text of the Dockerfile for
	// this build. If it is nil, edits are checked by the parser alone.
	Convert func(text []byte) (*dockerfile.Plan, error)
	// Takers returns a function that maps a path of the repository to the indices of
	// the steps of plan that take a file at that path, whether or not there is one.
	// ignore, unless nil, replaces the text of the ignore file. If Takers is nil, what
	// a suggestion saves is not computed.
	Takers func(plan *dockerfile.Plan, ignore []byte) (func(path string) []int, error)

	id int // in Input.Memory, from 1; 0 without one
}

// A Service is how containers of an image are started. It may hold secrets: never
// show it.
type Service struct {
	Command []string // replaces the image's command; empty keeps it
	User    string   // replaces the image's user; "" keeps it
}

// Context tells what the steps of a build take from its context. Paths are relative
// to it and slash-separated. A file that the ignore file excludes is not there.
type Context interface {
	// Takes reports whether the instruction that starts on the line would take a file
	// at path. There need not be one: the history asks about files that are gone, and about
	// submodules, by a path that ends in a slash: whether something of them may be taken.
	Takes(line int, path string) bool
	// Exists reports whether there is a file at path, or a directory with files.
	Exists(path string) bool
	// IsFile reports whether there is something at path that is not a directory.
	IsFile(path string) bool
	// Size returns the size in bytes of a file, or of all files below a directory; 0
	// if there are none.
	Size(path string) int64
	// Below returns the number of files at or below path, and their size as of Size.
	Below(path string) (files int, bytes int64)
	// Read returns the content of a file.
	Read(path string) ([]byte, error)
	// Files yields the paths of all files.
	Files() iter.Seq[string]
	// FilesNamed returns the paths of those whose last element is base.
	FilesNamed(base string) []string
	// Links returns the paths of those that are symbolic links.
	Links() []string
}

// An IgnoreFile is the ignore file of a build.
type IgnoreFile struct {
	Path   string // relative to the repository
	Text   []byte // nil if there is no file: one would be created at Path
	Shared bool   // builds of other Dockerfiles use it as well
	// Sharers returns those builds, or nil unless it is known of all what they copy.
	Sharers func() []Sharer
}

// A Sharer is a build of another Dockerfile that uses the same ignore file for its
// main context.
type Sharer struct {
	File    *dockerfile.File
	Context Context
}

// A Suggestion is a proposed change with its evidence.
type Suggestion struct {
	Rule     string
	Title    string
	Lines    dockerfile.Lines
	Evidence string // one sentence with numbers
	Obstacle string // why advice is not applied
	// File is the file that Lines are in, relative to the repository; "" is the
	// Dockerfile.
	File string
	URL  string // of a page that explains the rule, if it is not one of ours
	// SavesSeconds is the mean time saved per build over the history. For advice it is
	// what the change would save without the obstacle. It is 0 where there is no
	// history, or where no time is saved.
	SavesSeconds float64
	// SavesBytes is how much smaller BytesOf, Image or Transfer, becomes; 0 where
	// nothing is saved, or the size is not known.
	SavesBytes int64
	BytesOf    string
	// HitRate is the share of steps, 0..1, that hit over the history.
	HitRate struct{ Before, After float64 }
	Costs   string // source of the costs, Observed or Prior; "" if none were used
	Proof   Proof
	// Provable says of advice that it shall leave the image as it is, and that a build tells
	// whether it does: verified, it may be applied.
	Provable bool
	Changes  []Change // to apply; those of advice are only shown
}

// A Change replaces the text of one file.
type Change struct {
	Path     string // relative to the repository, slash-separated
	Old, New []byte // Old is nil for a file that does not exist
}

// A Rule finds one kind of improvement. It has a page docs/rules/NAME.md and a
// folder testdata/NAME.
type Rule struct {
	Name string
	// Find returns what the rule proposes. The Rule of each suggestion is Name or, for
	// a group of checks, Name, a slash and the check.
	Find func(Input) []Suggestion
}

// Rules returns all rules.
func Rules() []Rule {
	return []Rule{
		{"manifests-first", manifestsFirst},
		{"narrow-copy", narrowCopy},
		{"reorder", reorder},
		{"late-arg", lateArg},
		{"bind-instead-of-copy", bindInsteadOfCopy},
		{"cache-mount", cacheMount},
		{"unnarrowed", unnarrowed},
		{"link-copy", linkCopy},
		{"split-stage", splitStage},
		{"secret-in-layer", secretInLayer},
		{"alternating-context", alternatingContext},
		{"ignore", ignoreRule},
		{"ignore-lint", ignoreLint},
		{"chown-layer", chownLayer},
		{"package-hygiene", packageHygiene},
		{"multi-stage", multiStage},
		{"slim-base", slimBase},
		{"static-go", staticGo},
		{"exec-form", execForm},
		{"init", initProcess},
		{"non-root", nonRoot},
		{"healthcheck", healthCheck},
		{"pin", pin},
		{"buildkit", buildkitChecks},
	}
}

// mostStages bounds the work of the rules, which follow each stage through all its base
// stages: it is the sum, over all stages, of the length of that chain.
const mostStages = 1500

// TooLarge says why the rules cannot look at a Dockerfile, or returns "" if they can.
func TooLarge(f *dockerfile.File) string {
	n, below := 0, make([]int, len(f.Stages))
	for i, st := range f.Stages {
		below[i] = 1
		if st.BaseStage >= 0 {
			below[i] += below[st.BaseStage]
		}
		n += below[i]
	}
	if n > mostStages {
		what := fmt.Sprintf("it has %d stages", n)
		if n > len(f.Stages) {
			what = fmt.Sprintf("its %d stages start from one another, in chains of %d stages taken together", len(f.Stages), n)
		}
		return fmt.Sprintf("the Dockerfile was not looked at: %s, and %d is the most", what, mostStages)
	}
	return ""
}

// Suggest runs the rules and returns what they propose. Suggestions are sorted by
// seconds saved, most first, of which a few count as none (see Little); those that can be
// applied go before advice, then by bytes saved, then in the order of the rules.
func Suggest(in Input) []Suggestion {
	if in.File == nil || len(in.Builds) == 0 || TooLarge(in.File) != "" {
		return nil
	}
	if in.shared == nil {
		in = in.Remembering()
	}
	first := in
	in.shared.mounts = sync.OnceValue(func() []Suggestion { return findMounts(first) })
	in.shared.manifests = sync.OnceValue(func() []Suggestion { return findMoves(first) })
	in.shared.orders = sync.OnceValue(func() []Suggestion { return findOrders(first) })
	var list []Suggestion
	for _, rule := range Rules() {
		if !in.asks(rule.Name) {
			continue
		}
		for _, s := range rule.Find(in) {
			s = in.doubted(s)
			if (s.Rule == rule.Name || in.asks(s.Rule)) && !in.silenced(s) && !s.repeats(list) && in.holds(s) {
				list = append(list, s)
			}
		}
	}
	slices.SortStableFunc(list, func(a, b Suggestion) int {
		return cmp.Or(cmp.Compare(in.felt(b), in.felt(a)), cmp.Compare(a.rank(), b.rank()), cmp.Compare(b.SavesBytes, a.SavesBytes))
	})
	return list
}

// Remembering returns in with a memory, in which calls of [Input.Replay] and [Suggest] for it
// find what earlier ones worked out. It is for one goroutine at a time.
func (in Input) Remembering() Input {
	if in.Memory == nil {
		in.Memory = NewMemory()
	}
	in.shared = &shared{Memory: in.Memory, replays: map[string]Replayed{}}
	in.shared.read(in.Commits)
	in.Builds = slices.Clone(in.Builds)
	for i, b := range in.Builds {
		in.Builds[i].Convert, in.Builds[i].id = Remembered(b.Convert), in.Memory.idOf(b)
	}
	return in
}

// Remembered returns convert with a memory, for [Build.Convert]: the rules convert the same few
// texts again and again, and a conversion costs more than the rest of their work. It returns nil
// for nil. The result is not safe for concurrent use.
func Remembered(convert func(text []byte) (*dockerfile.Plan, error)) func(text []byte) (*dockerfile.Plan, error) {
	if convert == nil {
		return nil
	}
	type answer struct {
		plan *dockerfile.Plan
		err  error
	}
	known := map[string]answer{}
	return func(text []byte) (*dockerfile.Plan, error) {
		a, ok := known[string(text)]
		if !ok {
			a.plan, a.err = convert(text)
			known[string(text)] = a
		}
		return a.plan, a.err
	}
}

// asks reports whether a rule, or a check of a group ("group/check"), is to run.
func (in Input) asks(name string) bool {
	group, _, _ := strings.Cut(name, "/")
	for _, only := range in.Only {
		if only == name || only == group || strings.HasPrefix(only, name+"/") {
			return !slices.Contains(in.Silenced, name)
		}
	}
	return len(in.Only) == 0 && !slices.Contains(in.Silenced, name)
}

// rank orders suggestions that can be applied before advice.
func (s Suggestion) rank() int {
	if s.Proof == Advice {
		return 1
	}
	return 0
}

// sameAs maps the code of a hadolint rule to our rules that give the same advice. A
// comment that silences hadolint at an instruction silences them as well.
var sameAs = map[string][]string{
	"DL3000": {"buildkit/WorkdirRelativePath"},
	"DL3002": {"non-root"},
	"DL3006": {"pin"},
	"DL3007": {"pin"},
	"DL3009": {"package-hygiene"},
	"DL3015": {"package-hygiene"},
	"DL3019": {"package-hygiene"},
	"DL3025": {"exec-form", "buildkit/JSONArgsRecommended"},
	"DL3032": {"package-hygiene"},
	"DL3040": {"package-hygiene"},
	"DL3042": {"package-hygiene"},
	"DL4000": {"buildkit/MaintainerDeprecated"},
}

// silenced reports whether a comment above one of the instructions that the suggestion is
// about turns its rule off.
func (in Input) silenced(s Suggestion) bool {
	if s.File != "" {
		return false
	}
	for _, st := range in.File.Stages {
		for _, ins := range append([]dockerfile.Instruction{st.From}, st.Instructions...) {
			if ins.Lines.To < s.Lines.From || ins.Lines.From > s.Lines.To || ins.Comments.From == 0 {
				continue
			}
			for line := range strings.Lines(in.File.Source(ins.Comments)) {
				if s.silencedBy(line) {
					return true
				}
			}
		}
	}
	return false
}

// silencedBy reports whether a comment, `# stoker ignore=RULE,…` or, for advice,
// `# hadolint ignore=CODE,…`, turns the rule of the suggestion off.
func (s Suggestion) silencedBy(comment string) bool {
	text := strings.TrimSpace(strings.TrimLeft(comment, "# \t"))
	if rules, ok := strings.CutPrefix(text, "stoker ignore="); ok {
		return slices.Contains(strings.Split(rules, ","), s.Rule)
	}
	codes, ok := strings.CutPrefix(text, "hadolint ignore=")
	return ok && s.Proof == Advice && slices.ContainsFunc(strings.Split(codes, ","), func(code string) bool {
		return slices.Contains(sameAs[strings.TrimSpace(code)], s.Rule)
	})
}

// holds reports whether BuildKit's frontend accepts the proposed Dockerfile for every
// build for which it accepts the Dockerfile as it is.
func (in Input) holds(s Suggestion) bool {
	i := slices.IndexFunc(s.Changes, func(c Change) bool { return c.Path == in.Path })
	if i < 0 {
		return true
	}
	for _, b := range in.Builds {
		if b.Convert == nil || b.Plan == nil {
			continue
		}
		if _, err := b.Convert(s.Changes[i].New); err != nil {
			return false
		}
	}
	return true
}
