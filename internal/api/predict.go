package api

// PredictSchema names the shape of [Predict].
const PredictSchema = "stoker.predict/v1"

// Predict answers `stoker predict`: which steps the next build will execute.
type Predict struct {
	Schema      string       `json:"schema"`
	Builder     string       `json:"builder"` // the builder that the build is predicted for
	Definitions []Prediction `json:"definitions"`
	// Unread is how many builds of the builder's history are still to be read, which is
	// so after the daemon's start. Some of what is unknown may be known afterwards.
	Unread int `json:"unread,omitempty"`
}

// Prediction is the prediction for one definition, if it were built now with the args
// that it declares.
type Prediction struct {
	Name string `json:"name"`
	// FirstMiss is the name of the first step that will run for a reason of its own,
	// and not because a step before it runs. It is absent if all steps are hits.
	FirstMiss string `json:"firstMiss,omitempty"`
	Hits      int    `json:"hits"`    // number of steps that will not run
	Unknown   int    `json:"unknown"` // number of steps of which that is unknown
	// Seconds estimates the duration of the build: FixedSeconds, and the median of
	// each step that will run, where steps that can run in parallel do. It is absent if
	// a step that will or may run was never seen to run. SecondsLow and SecondsHigh are
	// the same with quartiles in place of medians. A step of which it is unknown
	// whether it runs counts in SecondsHigh only.
	Seconds     *float64 `json:"seconds,omitempty"`
	SecondsLow  *float64 `json:"secondsLow,omitempty"`
	SecondsHigh *float64 `json:"secondsHigh,omitempty"`
	// FixedSeconds is the median of the time in a build during which no step runs: for
	// metadata, transfers, pulls and exports. It is absent if no build was seen.
	FixedSeconds *float64         `json:"fixedSeconds,omitempty"`
	Steps        []StepPrediction `json:"steps"`
}

// StepPrediction is the prediction for one step.
type StepPrediction struct {
	Name    string `json:"name"`
	Stage   string `json:"stage,omitempty"`
	Index   int    `json:"index"`
	Outcome string `json:"outcome"` // hit, miss or unknown
	// Imported says that the result of a hit is not in the builder's own cache, but in
	// one outside that the build imports.
	Imported bool `json:"imported,omitempty"`
	// Cause says why the step will run, or why that is unknown. It is absent for a hit.
	Cause *PredictedCause `json:"cause,omitempty"`
	// Seconds is the median of the step's executions. It is absent if it was never seen
	// to run.
	Seconds *float64 `json:"seconds,omitempty"`
}

// PredictedCause says why a step will or may run.
type PredictedCause struct {
	// Kind of a miss is that of a [WhyCause], from a comparison with the most similar
	// build: "files", "arg", "env", "base", "dockerfile", "gone" (its result was removed
	// from the cache), "no-cache", "first", "input" (a step that it depends on will run)
	// and so on; or "new" if there is no build to compare with.
	//
	// If it is unknown whether the step runs, Kind is "stage-content", "unobserved",
	// "liveness", "unread", "absent" (the build fails on a path that is not there),
	// "stale-stat" (the builder may not notice that files changed), "unresolved",
	// "import" (a cache outside may have the result), "run-anew" (a build that ignores
	// the cache is running) or "external-frontend".
	Kind string `json:"kind"`
	Text string `json:"text"`
	// Name, Line, Before, After and Paths have the meaning that they have in [WhyCause].
	Name   string    `json:"name,omitempty"`
	Line   int       `json:"line,omitempty"`
	Before string    `json:"before,omitempty"`
	After  string    `json:"after,omitempty"`
	Paths  []WhyPath `json:"paths,omitempty"`
	// Reused and Of belong to "stage-content": of Of runs of the stage from which the
	// step takes files, it was reused all the same after Reused.
	Reused int `json:"reused,omitempty"`
	Of     int `json:"of,omitempty"`
}
