package api

// PredictSchema names the shape of [Predict].
const PredictSchema = "stoker.predict/v1"

// Predict answers `stoker predict`: what the next build will execute.
type Predict struct {
	Schema      string       `json:"schema"`
	Builder     string       `json:"builder"` // that it is about
	Definitions []Prediction `json:"definitions"`
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
	// Seconds estimates how long the steps that will run take, those side by
	// side that can be: medians of their executions; absent without any.
	Seconds *float64         `json:"seconds,omitempty"`
	Steps   []StepPrediction `json:"steps"`
}

// StepPrediction is about one step.
type StepPrediction struct {
	Name    string `json:"name"`
	Stage   string `json:"stage,omitempty"`
	Index   int    `json:"index"`
	Outcome string `json:"outcome"` // hit, miss or unknown
	// Cause says why it will run, or why that is not known; absent for a hit.
	Cause *PredictedCause `json:"cause,omitempty"`
	// Seconds is the median of its executions; absent if it was never seen to
	// run.
	Seconds *float64 `json:"seconds,omitempty"`
}

// PredictedCause is why a step will run, or may.
type PredictedCause struct {
	// Kind is, of a miss: "new" (never seen to run like this: new, or its
	// instruction, an arg, an env variable or the base changed), "files" (seen to
	// run, on other files), "gone" (its result was dropped from the cache),
	// "input" (something that it takes in will run). Of what is not known:
	// "stage-content", "unobserved", "liveness", "unread", "unresolved",
	// "external-frontend".
	Kind string `json:"kind"`
	Text string `json:"text"`
}
