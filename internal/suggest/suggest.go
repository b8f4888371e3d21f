// Package suggest proposes better Dockerfiles, with the evidence for each
// proposal.
//
// [Suggest] is pure: an [Input] holds the Dockerfile, what its steps take of the
// build context, the history of the repository and the costs of steps; each
// rule turns it into a [Suggestion]. A rule lives in one file, has one page in
// docs/rules and one folder in testdata. [Apply] is the only part that writes.
//
// A suggestion's saving is the difference of two replays: see [Input.Replay]. Its
// edit leaves everything alone that it does not have to touch, and exists only
// where what every moved step reads and writes is known; otherwise the
// suggestion is advice and says what is in the way.
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
	Verified       Proof = "verified"        // both versions were built and compared
	ByConstruction Proof = "by-construction" // only steps whose effects are known are touched: the image stays
	// Advice is for the reader to decide: the image would be another one on
	// purpose, or something is in the way. It is never applied.
	Advice Proof = "advice"
)

// The sources of a cost.
const (
	Observed = "observed" // medians of this repository's builds, sizes of its files
	Prior    = "prior"    // at least one step, or the size, by a built-in table
)

// What a suggestion may save bytes of.
const (
	Image    = "image"
	Transfer = "transfer" // what each build sends to the builder, apart from what it has already
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
	shared  *shared // set by Suggest
	// Only names the rules to ask; none asks all.
	Only []string
	// Silenced names rules that the repository does not want to hear of.
	Silenced []string
}

// A Build is one definition of the Dockerfile.
type Build struct {
	Name    string
	Target  string // "" is the last stage
	Context Context
	// Dir is the context directory relative to the repository; "" is its root.
	Dir    string
	Ignore IgnoreFile
	// Args are the build args that the definition gives. Never show a value.
	Args map[string]string
	// Secrets are files of the context that are known to hold secrets.
	Secrets []string
	// Services are how a compose file starts containers of the image, where one does.
	Services []Service
	// Beside are other definitions whose files share a copy with this one's.
	Beside []Neighbour
	// Plan is the Dockerfile as it is; nil if it is not known.
	Plan *dockerfile.Plan
	// Convert has BuildKit's frontend read a proposed text of the Dockerfile
	// as this build would; nil leaves edits to the parser's judgement.
	Convert func(text []byte) (*dockerfile.Plan, error)
	// Takers returns which steps of a plan take a path of the repository, by index,
	// should there be a file. Where ignore is not nil, it stands in for the ignore
	// file's text. Nil leaves suggestions without a price.
	Takers func(plan *dockerfile.Plan, ignore []byte) (func(path string) []int, error)
}

// A Service is how containers of an image are started. Never show it.
type Service struct {
	Command []string // in place of what the image starts; empty for that
	User    string   // in place of the image's; "" for that
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
	// IsFile reports whether the ignore file leaves something at path that is no
	// directory.
	IsFile(path string) bool
	// Size returns the bytes that the ignore file leaves of a file, or of all below
	// a directory; 0 for nothing.
	Size(path string) int64
	// Read returns the file's content.
	Read(path string) ([]byte, error)
	// Files yields the files that the ignore file leaves today.
	Files() iter.Seq[string]
}

// An IgnoreFile is the ignore file of a build.
type IgnoreFile struct {
	Path   string // relative to the repository; where it would be created if Text is nil
	Text   []byte
	Shared bool // definitions of other Dockerfiles use it as well
	// Sharers returns those, if what each of them copies is known; else nil.
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
	Obstacle string // of advice: why it is not applied
	// File is the file that Lines are in, relative to the repository; "" is the
	// Dockerfile.
	File string
	URL  string // of a page that explains it, where that is not ours
	// SavesSeconds is per build, averaged over the history; of advice it is what the
	// change would save once nothing is in its way. 0 where there is no history, and
	// for what saves no time.
	SavesSeconds float64
	// SavesBytes are those of BytesOf, which is Image or Transfer; 0 for none, or
	// where they cannot be told.
	SavesBytes int64
	BytesOf    string
	// HitRate is that of the stage concerned, 0..1, now and with the change.
	HitRate struct{ Before, After float64 }
	Costs   string // where these come from, Observed or Prior; "" where there are none
	Proof   Proof
	Changes []Change // of advice: what is only shown
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
	// Find returns what the rule proposes; each suggestion bears its name, or
	// for a group of checks the name, a slash and the check.
	Find func(Input) []Suggestion
}

// Rules returns every rule, one a line.
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

// mostStages bounds the work of the rules, which follow each stage down to the image
// that it starts from: stages, each counted with those below it.
const mostStages = 1500

// TooLarge says why the rules do not look at a Dockerfile; "" where they do.
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
		return fmt.Sprintf("the Dockerfile was not looked at: its %d stages start from one another %d times, more than %d", len(f.Stages), n-len(f.Stages), mostStages)
	}
	return ""
}

// Suggest returns what the rules propose: most seconds saved first, then what can be
// applied before advice, then by bytes, and else in the order of the rules.
func Suggest(in Input) []Suggestion {
	if in.File == nil || len(in.Builds) == 0 || TooLarge(in.File) != "" {
		return nil
	}
	in.shared = &shared{replays: map[string]Replayed{}}
	in.Builds = slices.Clone(in.Builds)
	for i, b := range in.Builds {
		in.Builds[i].Convert = remembered(b.Convert)
	}
	first := in
	in.shared.manifests = sync.OnceValue(func() []Suggestion { return findMoves(first) })
	in.shared.orders = sync.OnceValue(func() []Suggestion { return findOrders(first) })
	var list []Suggestion
	for _, rule := range Rules() {
		if !in.asks(rule.Name) {
			continue
		}
		for _, s := range rule.Find(in) {
			if (s.Rule == rule.Name || in.asks(s.Rule)) && !in.silenced(s) && !s.repeats(list) && in.holds(s) {
				list = append(list, s)
			}
		}
	}
	slices.SortStableFunc(list, func(a, b Suggestion) int {
		return cmp.Or(cmp.Compare(b.SavesSeconds, a.SavesSeconds), cmp.Compare(a.rank(), b.rank()), cmp.Compare(b.SavesBytes, a.SavesBytes))
	})
	return list
}

// remembered converts each text once: the rules look at the same few again and again,
// and a conversion costs more than all that they do with it.
func remembered(convert func(text []byte) (*dockerfile.Plan, error)) func(text []byte) (*dockerfile.Plan, error) {
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

// asks reports whether a rule, or a check of a rule, may speak.
func (in Input) asks(name string) bool {
	group, _, _ := strings.Cut(name, "/")
	for _, only := range in.Only {
		if only == name || only == group || strings.HasPrefix(only, name+"/") {
			return !slices.Contains(in.Silenced, name)
		}
	}
	return len(in.Only) == 0 && !slices.Contains(in.Silenced, name)
}

// rank puts what can be applied before advice.
func (s Suggestion) rank() int {
	if s.Proof == Advice {
		return 1
	}
	return 0
}

// sameAs are the rules whose advice is that of a rule of hadolint, by its code: who told
// that one to be silent at an instruction has decided.
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

// silenced reports a comment `# stoker ignore=RULE,…` or `# hadolint ignore=CODE,…` above
// an instruction that the suggestion is about.
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
				text := strings.TrimLeft(line, "# \t")
				rules, ok := strings.CutPrefix(text, "stoker ignore=")
				if ok && slices.Contains(strings.Split(strings.TrimSpace(rules), ","), s.Rule) {
					return true
				}
				codes, ok := strings.CutPrefix(text, "hadolint ignore=")
				if ok && s.Proof == Advice && slices.ContainsFunc(strings.Split(strings.TrimSpace(codes), ","), func(code string) bool {
					return slices.Contains(sameAs[strings.TrimSpace(code)], s.Rule)
				}) {
					return true
				}
			}
		}
	}
	return false
}

// holds reports whether BuildKit's frontend takes the suggested Dockerfile for
// every build that it takes today's for.
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
