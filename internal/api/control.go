package api

// Level is the version of the protocol on the daemon's socket, as opposed to that of
// the schemas. A client and a daemon of different levels cannot talk to each other.
const Level = 1

// Host is the host name in requests on the socket.
const Host = "stoker.local"

// Version is the version of a stoker process.
type Version struct {
	Version string `json:"version"` // "v1.2.3", or "devel"
	Build   string `json:"build"`   // differs between any two programs that differ
	PID     int    `json:"pid"`
	Level   int    `json:"level"`
}

// AdHoc is a definition given on the command line, with the flags of docker build. It
// is only sent from client to daemon over the user's own socket, and is neither stored
// nor logged, since Args has values.
type AdHoc struct {
	Context       string            `json:"context"`              // absolute
	Dockerfile    string            `json:"dockerfile,omitempty"` // absolute
	Target        string            `json:"target,omitempty"`
	Args          map[string]string `json:"args,omitempty"`
	Platforms     []string          `json:"platforms,omitempty"`
	NamedContexts map[string]string `json:"namedContexts,omitempty"`
	Network       string            `json:"network,omitempty"`
	Hosts         map[string]string `json:"hosts,omitempty"`   // by name: addresses, separated by commas
	ShmSize       int64             `json:"shmSize,omitempty"` // bytes
	Ulimits       []string          `json:"ulimits,omitempty"` // NAME=SOFT:HARD, sorted
	NoCache       bool              `json:"noCache,omitempty"`
	NoCacheStages []string          `json:"noCacheStages,omitempty"`
	Imports       []Import          `json:"imports,omitempty"` // caches outside the builder
}

// Import is a cache outside the builder that builds take results from: see
// buildctx.Import.
type Import struct {
	Type string `json:"type"`
	Ref  string `json:"ref,omitempty"`
}

// UpRequest asks the daemon to watch a repository. It answers with a [Status]
// once the first picture is ready.
type UpRequest struct {
	Dir   string `json:"dir"`             // absolute; any folder in the repository
	Allow bool   `json:"allow,omitempty"` // also do what an AllowRequest does
	Pulls bool   `json:"pulls,omitempty"` // see AllowRequest
}

// DownRequest asks the daemon to stop watching the repository around Dir, or with All
// to stop watching all of them and end.
type DownRequest struct {
	Dir string `json:"dir,omitempty"`
	All bool   `json:"all,omitempty"`
}

// AllowRequest gives the consent to run a repository's steps, or withdraws it with
// Revoke.
type AllowRequest struct {
	Dir    string `json:"dir"`
	Pulls  bool   `json:"pulls,omitempty"` // also for commits that came from elsewhere
	Revoke bool   `json:"revoke,omitempty"`
}

// Query says which definitions a request is about.
type Query struct {
	Dir   string   `json:"dir"`             // absolute; any folder in the repository
	Names []string `json:"names,omitempty"` // of definitions; empty for all of them
	AdHoc *AdHoc   `json:"adHoc,omitempty"` // the only definition, if not nil
}

// The orders of [ContextRequest.Sort].
const (
	SortName = "name" // in the order in which BuildKit walks: parents before children
	SortSize = "size" // the largest first
)

// ContextRequest asks for a definition's effective context. Its filters select the
// entries that are listed. The sums are those of the whole context all the same.
type ContextRequest struct {
	Query
	Sent   bool   `json:"sent,omitempty"`   // only what is sent
	Unused bool   `json:"unused,omitempty"` // only what is sent and taken by no step
	Shared bool   `json:"shared,omitempty"` // only what several steps take
	Step   string `json:"step,omitempty"`   // only what this step takes: "3", "build 3", ":7", "COPY src"
	Files  bool   `json:"files,omitempty"`  // no directories
	Sort   string `json:"sort,omitempty"`   // SortName or SortSize; "" for SortName
	Limit  int    `json:"limit,omitempty"`  // number of entries at most; 0 for all
}

// CheckRequest asks for findings, and for sizes compared with a budget.
type CheckRequest struct {
	Query
	Budget *Budget `json:"budget,omitempty"` // from flags; fields that are not 0 override stoker.yaml
}

// SuggestRequest asks for suggestions.
type SuggestRequest struct {
	Query
	Changes bool `json:"changes,omitempty"` // include the texts of changed files
	// Together asks for changes that are made one after the other, each to the result
	// of those before it, until there is none left that can be applied.
	Together bool     `json:"together,omitempty"`
	Rules    []string `json:"rules,omitempty"` // only these; empty for all
}

// PredictRequest asks what the next builds will reuse.
type PredictRequest struct {
	Query
}

// WhyRequest asks why the steps of a finished build ran.
type WhyRequest struct {
	Dir string `json:"dir"` // absolute; any folder in the repository
	// Build is the ref of a build, or the beginning of one, or the name of a definition
	// for its last build; "" for the last build of any.
	Build   string `json:"build,omitempty"`
	Step    string `json:"step,omitempty"`    // only this step: "3", "build 3", ":7", "COPY src"
	Against string `json:"against,omitempty"` // ref of the build to compare with; "" for the nearest
}

// ReplayRequest asks for a replay of one definition.
type ReplayRequest struct {
	Query
	Commits int         `json:"commits"`        // how many to replay, the newest
	With    *ReplayFile `json:"with,omitempty"` // nil for the Dockerfile as it is
}

// ReplayFile is a Dockerfile to replay in place of a definition's own.
type ReplayFile struct {
	Name string `json:"name"` // to be shown
	Text []byte `json:"text"`
}

// StatsRequest asks for hit rates and times.
type StatsRequest struct {
	Since      float64 `json:"since"`                // length in seconds of the window, which ends now
	Dir        string  `json:"dir,omitempty"`        // "" for every repository
	Definition string  `json:"definition,omitempty"` // "" for every definition
}

// WarmRequest asks to warm definitions now. It comes from a command that the user typed,
// which is consent for this run, whether or not the repository is allowed.
type WarmRequest struct {
	Query
	Level     string  `json:"level,omitempty"` // base, deps or all; "" for the configured one
	CacheFrom []Cache `json:"cacheFrom,omitempty"`
	CacheTo   []Cache `json:"cacheTo,omitempty"`
}

// Cache is a cache outside the builder, as given to `--cache-from` or `--cache-to`. Its
// attributes may be credentials, and must be neither stored nor shown.
type Cache struct {
	Type  string            `json:"type"`
	Attrs map[string]string `json:"attrs,omitempty"`
}

// WarmEvent is one line of progress of a warm.
type WarmEvent struct {
	Definition string `json:"definition"`
	// State is plan (Message says what will run where), step, ready, failed or skipped.
	State   string  `json:"state"`
	Step    string  `json:"step,omitempty"`    // "[build 3/7] COPY . .", with variables not expanded
	Outcome string  `json:"outcome,omitempty"` // of the step: hit, executed, failed
	Seconds float64 `json:"seconds,omitempty"`
	Message string  `json:"message,omitempty"`
	Hint    string  `json:"hint,omitempty"`
	// Unread is how many of the caches in CacheFrom could not be read.
	Unread int `json:"unread,omitempty"`
}

// Done answers a request that was carried out and has no other result.
type Done struct {
	Message string `json:"message,omitempty"` // for the user
}
