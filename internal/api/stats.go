package api

import "time"

// StatsSchema names the shape of [Stats].
const StatsSchema = "stoker.stats/v1"

// Stats answers `stoker stats`: what the cache did over a window of time.
type Stats struct {
	Schema      string            `json:"schema"`
	Since       time.Time         `json:"since"`
	Definitions []DefinitionStats `json:"definitions"`
}

// DefinitionStats sums up the builds of one definition.
type DefinitionStats struct {
	Repository string `json:"repository"`
	Name       string `json:"name"`
	Builds     int    `json:"builds"`
	Failed     int    `json:"failed"`
	// Interrupted are those of Builds that were given up before they ended, as by Ctrl-C.
	Interrupted int `json:"interrupted"`
	// HitRate is steps reused over steps needed, 0..1; missing without builds.
	HitRate *float64 `json:"hitRate,omitempty"`
	// SecondsSaved estimates what hits spared: the median of a step's own
	// executions, for each time it was reused.
	SecondsSaved float64 `json:"secondsSaved"`
	// SecondsLost is what steps that ran took.
	SecondsLost float64     `json:"secondsLost"`
	MeanSeconds float64     `json:"meanSeconds"` // wall time per build
	Steps       []StepStats `json:"steps"`
	Breakers    []Breaker   `json:"breakers"`
}

// StepStats sums up one step.
type StepStats struct {
	Name          string  `json:"name"`
	Hits          int     `json:"hits"`
	Misses        int     `json:"misses"`
	MedianSeconds float64 `json:"medianSeconds"` // of its executions; 0 if it never ran
	SecondsSaved  float64 `json:"secondsSaved"`
	SecondsLost   float64 `json:"secondsLost"`
}

// Breaker is a step that was the first to miss.
type Breaker struct {
	Name        string  `json:"name"`
	Times       int     `json:"times"`
	SecondsLost float64 `json:"secondsLost"` // of the step and what ran because of it
	// Costliest is the step, of it and those that ran because of it, that took most.
	Costliest string `json:"costliest,omitempty"`
	// Causes are what broke it, as far as they are known, the costliest first.
	Causes []BreakerCause `json:"causes,omitempty"`
}

// BreakerCause is what was behind a breaker.
type BreakerCause struct {
	Kind      string `json:"kind"` // as in [WhyCause]
	Path      string `json:"path,omitempty"`
	PathBytes []byte `json:"pathBytes,omitempty"`
	Name      string `json:"name,omitempty"` // of a variable
	Times     int    `json:"times"`
	// SecondsLost are of the builds in which it broke the step, alone or with others.
	SecondsLost float64 `json:"secondsLost"`
}
