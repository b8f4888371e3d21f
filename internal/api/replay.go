package api

// ReplaySchema names the shape of [Replay].
const ReplaySchema = "stoker.replay/v1"

// The sources of costs.
const (
	CostsObserved = "observed" // medians of builds
	CostsPrior    = "prior"    // at least one step by a built-in table
)

// Replay answers `stoker replay`: what a Dockerfile would have cost over the last
// commits, had each been built.
type Replay struct {
	Schema     string `json:"schema"`
	Definition string `json:"definition"`
	Dockerfile string `json:"dockerfile"` // that is replayed, relative to the repository
	Builds     int    `json:"builds"`     // commits that were replayed
	// HitRate is over all steps and builds, 0..1.
	HitRate float64 `json:"hitRate"`
	// SecondsPerBuild is what one waits for the steps that run, stages that need
	// nothing of each other at once; no order changes what comes on top: transfer, pulls and export.
	SecondsPerBuild float64      `json:"secondsPerBuild"`
	Costs           string       `json:"costs"` // observed, or prior where a step was never seen
	Steps           []ReplayStep `json:"steps"`
	// Compared is the Dockerfile that it is held against, if there is one: today's
	// where another file is replayed, else as the best suggestion would have it.
	Compared *ReplayOther `json:"compared,omitempty"`
	Note     string       `json:"note,omitempty"` // what the history lacks
}

// ReplayOther is the other Dockerfile over the same commits.
type ReplayOther struct {
	Dockerfile      string       `json:"dockerfile"`
	Rule            string       `json:"rule,omitempty"` // of the suggestion
	HitRate         float64      `json:"hitRate"`
	SecondsPerBuild float64      `json:"secondsPerBuild"`
	Costs           string       `json:"costs"`
	Steps           []ReplayStep `json:"steps"`
}

// ReplayStep is one step over the builds.
type ReplayStep struct {
	Name   string `json:"name"` // as BuildKit names it, with the instruction as it is written
	Stage  string `json:"stage"`
	Index  int    `json:"index"` // in the stage, counting from 1, which is FROM
	Hits   int    `json:"hits"`
	Misses int    `json:"misses"`
	// Seconds is one execution.
	Seconds float64 `json:"seconds"`
}
