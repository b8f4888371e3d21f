package api

// PredictSchema names the shape of [Predict].
const PredictSchema = "stoker.predict/v1"

// Predict answers `stoker predict`: what the next build will execute.
type Predict struct {
	Schema      string       `json:"schema"`
	Builder     string       `json:"builder"` // that it is about
	Definitions []Prediction `json:"definitions"`
	// Unread are builds of the builder's history that are still to be read, as after
	// the daemon's start: what is unknown may be known then.
	Unread int `json:"unread,omitempty"`
}

// Prediction is about one definition, built now with the args that it declares.
type Prediction struct {
	Name string `json:"name"`
	// FirstMiss is the name of the first step that will run, and that nothing
	// before it makes run; absent if all are hits.
	FirstMiss string `json:"firstMiss,omitempty"`
	// Hits are how many of Steps will not execute, Unknown of how many that is
	// not known.
	Hits    int `json:"hits"`
	Unknown int `json:"unknown"`
	// Seconds estimates the build's wall time: the steps that will run, those side
	// by side that can be, at the medians of their executions, and FixedSeconds;
	// absent if a step that will or may run was never seen to. It lies between
	// SecondsLow and SecondsHigh where each part is within the middle half of what
	// was observed. Steps of which it is not known whether they run count in
	// SecondsHigh only.
	Seconds     *float64 `json:"seconds,omitempty"`
	SecondsLow  *float64 `json:"secondsLow,omitempty"`
	SecondsHigh *float64 `json:"secondsHigh,omitempty"`
	// FixedSeconds is the median of the part of builds during which no step ran:
	// metadata, transfers, pulls and exports; absent without a build.
	FixedSeconds *float64         `json:"fixedSeconds,omitempty"`
	Steps        []StepPrediction `json:"steps"`
}

// StepPrediction is about one step.
type StepPrediction struct {
	Name    string `json:"name"`
	Stage   string `json:"stage,omitempty"`
	Index   int    `json:"index"`
	Outcome string `json:"outcome"` // hit, miss or unknown
	// Imported says of a hit that its result is not the builder's, but in a cache
	// elsewhere that the build looks into.
	Imported bool `json:"imported,omitempty"`
	// Cause says why it will run, or why that is not known; absent for a hit.
	Cause *PredictedCause `json:"cause,omitempty"`
	// Seconds is the median of its executions; absent if it was never seen to
	// run.
	Seconds *float64 `json:"seconds,omitempty"`
}

// PredictedCause is why a step will run, or may.
type PredictedCause struct {
	// Kind is, of a miss, one of [WhyCause], by comparison with the builds that
	// differ least: "files", "arg", "env", "base", "dockerfile", "gone" (its result
	// was dropped from the cache), "no-cache", "first", "input" (something that it takes in will
	// run) and so on; "new" where no build is known with which to compare. Of what
	// is not known: "stage-content", "unobserved", "liveness", "unread",
	// "stale-stat" (the builder may not see that files changed), "unresolved",
	// "import" (a cache elsewhere may have it), "run-anew" (a build that ignores the
	// cache is running), "external-frontend".
	Kind string `json:"kind"`
	Text string `json:"text"`
	// Name, Line, Before, After and Paths are those of [WhyCause].
	Name   string    `json:"name,omitempty"`
	Line   int       `json:"line,omitempty"`
	Before string    `json:"before,omitempty"`
	After  string    `json:"after,omitempty"`
	Paths  []WhyPath `json:"paths,omitempty"`
	// Reused and Of are of stage-content: in so many of the runs of what the step
	// takes files of, it was reused all the same.
	Reused int `json:"reused,omitempty"`
	Of     int `json:"of,omitempty"`
}
