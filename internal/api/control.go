package api

// Level is the version of the requests and answers of the daemon's socket
// (not of the schemas): a client and a daemon of different levels do not talk.
const Level = 1

// Host is the name that requests on the socket are addressed to.
const Host = "stoker.local"

// Version says which stoker a process is.
type Version struct {
	Version string `json:"version"` // "v1.2.3", or "devel"
	Build   string `json:"build"`   // differs between any two builds that differ
	PID     int    `json:"pid"`
	Level   int    `json:"level"`
}

// AdHoc is the spelling of a definition on the command line, as docker build
// takes it. It travels from client to daemon over the user's own socket only,
// and is neither stored nor logged, since Args hold values.
type AdHoc struct {
	Context       string            `json:"context"`              // absolute
	Dockerfile    string            `json:"dockerfile,omitempty"` // absolute
	Target        string            `json:"target,omitempty"`
	Args          map[string]string `json:"args,omitempty"`
	Platforms     []string          `json:"platforms,omitempty"`
	NamedContexts map[string]string `json:"namedContexts,omitempty"`
	Network       string            `json:"network,omitempty"`
	Hosts         map[string]string `json:"hosts,omitempty"`   // addresses by name, separated by commas
	ShmSize       int64             `json:"shmSize,omitempty"` // bytes
	Ulimits       []string          `json:"ulimits,omitempty"` // NAME=SOFT:HARD, sorted
	NoCache       bool              `json:"noCache,omitempty"`
	NoCacheStages []string          `json:"noCacheStages,omitempty"`
	Imports       []Import          `json:"imports,omitempty"` // caches of elsewhere
}

// Import is a cache outside of the builder: see context.Import.
type Import struct {
	Type string `json:"type"`
	Ref  string `json:"ref,omitempty"`
}

// UpRequest asks the daemon to watch a repository. It answers with a [Status]
// once the first picture is ready.
type UpRequest struct {
	Dir   string `json:"dir"` // absolute; the repository around it is meant
	Allow bool   `json:"allow,omitempty"`
	Pulls bool   `json:"pulls,omitempty"`
}

// DownRequest asks the daemon to stop watching a repository, or all of them;
// with All the daemon ends.
type DownRequest struct {
	Dir string `json:"dir,omitempty"`
	All bool   `json:"all,omitempty"`
}

// AllowRequest gives or, with Revoke, takes back the consent to run a
// repository's steps.
type AllowRequest struct {
	Dir    string `json:"dir"`
	Pulls  bool   `json:"pulls,omitempty"` // also for commits that came from elsewhere
	Revoke bool   `json:"revoke,omitempty"`
}

// Query names what a read command is about: definitions of a repository by
// name (none: all of them), or one given ad hoc.
type Query struct {
	Dir   string   `json:"dir"`
	Names []string `json:"names,omitempty"`
	AdHoc *AdHoc   `json:"adHoc,omitempty"`
}

// The orders of [ContextRequest.Sort].
const (
	SortName = "name" // as BuildKit walks: directories with what is in them
	SortSize = "size" // the largest first
)

// ContextRequest asks for a definition's effective context. Its filters say
// which entries are listed; the sums stay those of the whole.
type ContextRequest struct {
	Query
	Sent   bool   `json:"sent,omitempty"`   // only what is sent
	Unused bool   `json:"unused,omitempty"` // only what is sent and no step takes
	Shared bool   `json:"shared,omitempty"` // only what several steps take
	Step   string `json:"step,omitempty"`   // only what this step takes: "3", "build 3", ":7", "COPY src"
	Files  bool   `json:"files,omitempty"`  // no directories
	Sort   string `json:"sort,omitempty"`   // "" for name
	Limit  int    `json:"limit,omitempty"`  // at most so many; 0 for all
}

// CheckRequest asks for the findings and sizes against a budget.
type CheckRequest struct {
	Query
	Budget *Budget `json:"budget,omitempty"` // from flags; its fields that are not 0 beat the file's
}

// SuggestRequest asks for suggestions.
type SuggestRequest struct {
	Query
	Changes bool `json:"changes,omitempty"` // also the texts that a change is made of
	// Together makes each change upon those before it, until nothing is left that
	// can be applied.
	Together bool     `json:"together,omitempty"`
	Rules    []string `json:"rules,omitempty"` // only these; empty for all
}

// PredictRequest asks what the next builds will reuse.
type PredictRequest struct {
	Query
}

// WhyRequest asks what made the steps of a finished build run.
type WhyRequest struct {
	Dir string `json:"dir"`
	// Build is a build's ref, or the beginning of one, or the name of a definition,
	// of which the last build is meant; "" for the last one of all.
	Build   string `json:"build,omitempty"`
	Step    string `json:"step,omitempty"`    // only this step: "3", "build 3", ":7", "COPY src"
	Against string `json:"against,omitempty"` // ref of the build to compare with; "" for the nearest
}

// ReplayRequest asks for a replay of one definition.
type ReplayRequest struct {
	Query
	Commits int         `json:"commits"`
	With    *ReplayFile `json:"with,omitempty"` // nil replays today's Dockerfile
}

// ReplayFile is a Dockerfile to replay in place of a definition's own.
type ReplayFile struct {
	Name string `json:"name"` // as it should be shown
	Text []byte `json:"text"`
}

// StatsRequest asks what the cache did.
type StatsRequest struct {
	Since      float64 `json:"since"`                // window in seconds, up to now
	Dir        string  `json:"dir,omitempty"`        // "" for every repository
	Definition string  `json:"definition,omitempty"` // "" for every definition
}

// WarmRequest asks for definitions to be warmed now. Typed by the user, it is
// leave for this run, allowed or not.
type WarmRequest struct {
	Query
	Level string `json:"level,omitempty"` // base, deps or all; "" for the configured one
	// CacheFrom are caches elsewhere that are looked into, CacheTo those that are
	// written.
	CacheFrom []Cache `json:"cacheFrom,omitempty"`
	CacheTo   []Cache `json:"cacheTo,omitempty"`
}

// Cache is one that is kept outside of the builder, as `--cache-from` and `--cache-to`
// spell it. Its attributes may hold credentials: they are never kept nor shown.
type Cache struct {
	Type  string            `json:"type"`
	Attrs map[string]string `json:"attrs,omitempty"`
}

// WarmEvent is one line of progress of a warm.
type WarmEvent struct {
	Definition string `json:"definition"`
	// State is one of plan (Message says what will run where), step, ready,
	// failed, skipped.
	State   string  `json:"state"`
	Step    string  `json:"step,omitempty"`    // "[build 3/7] COPY . .", instruction unexpanded
	Outcome string  `json:"outcome,omitempty"` // of the step: hit, executed, failed
	Seconds float64 `json:"seconds,omitempty"`
	Message string  `json:"message,omitempty"`
	Hint    string  `json:"hint,omitempty"`
	// Unread are how many of the caches elsewhere (CacheFrom) could not be read.
	Unread int `json:"unread,omitempty"`
}

// Done answers a request that has nothing to say but that it was carried out.
type Done struct {
	Message string `json:"message,omitempty"` // for the user
}
