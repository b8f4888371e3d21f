package api

// ReplaySchema names the shape of [Replay].
const ReplaySchema = "stoker.replay/v1"

// The sources of costs.
const (
	CostsObserved = "observed" // medians of observed builds
	CostsPrior    = "prior"    // for at least one step, a built-in table
)

// Replay answers `stoker replay`: what a Dockerfile would have cost over the last
// commits, if each had been built.
type Replay struct {
	Schema     string `json:"schema"`
	Definition string `json:"definition"`
	Dockerfile string `json:"dockerfile"` // the one that is replayed, relative to the repository
	Builds     int    `json:"builds"`     // number of commits that were replayed
	// Saves says that there were no commits, and that observed saves of files took their place.
	Saves bool `json:"saves,omitempty"`
	// HitRate is over all steps and builds, 0..1. Without builds it says nothing, and is 0.
	HitRate float64 `json:"hitRate"`
	// SecondsPerBuild is the mean time for the steps that run, where stages that do not
	// depend on each other run in parallel. Transfers, pulls and exports are not
	// included, since they do not depend on the Dockerfile's order.
	SecondsPerBuild float64      `json:"secondsPerBuild"`
	Costs           string       `json:"costs"` // CostsObserved or CostsPrior
	Steps           []ReplayStep `json:"steps"`
	// Compared is the Dockerfile to compare with, if there is one: the current one if
	// another file is replayed, else what the best suggestion makes of it.
	Compared *ReplayOther `json:"compared,omitempty"`
	// Note says what is missing in the history, or what it does not tell of the files that
	// are taken, and which ARGs are taken to change with each build.
	Note string `json:"note,omitempty"`
}

// ReplayOther is another Dockerfile, replayed over the same commits.
type ReplayOther struct {
	Dockerfile      string       `json:"dockerfile"`
	Rule            string       `json:"rule,omitempty"` // of the suggestion that makes it
	HitRate         float64      `json:"hitRate"`
	SecondsPerBuild float64      `json:"secondsPerBuild"`
	Costs           string       `json:"costs"`
	Steps           []ReplayStep `json:"steps"`
}

// ReplayStep is one step, with its results over all builds.
type ReplayStep struct {
	Name    string  `json:"name"` // as BuildKit names it, with variables not expanded
	Stage   string  `json:"stage"`
	Index   int     `json:"index"` // in its stage; FROM is 1
	Hits    int     `json:"hits"`
	Misses  int     `json:"misses"`
	Seconds float64 `json:"seconds"` // for one execution
}
