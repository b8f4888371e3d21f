package api

import "time"

// StatsSchema names the shape of [Stats].
const StatsSchema = "stoker.stats/v1"

// Stats answers `stoker stats`: hit rates and times over a window of time.
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
	// Interrupted is how many of Builds were cancelled, for example with Ctrl-C.
	Interrupted int `json:"interrupted"`
	// HitRate is the share of the needed steps that were reused, 0..1. It is absent
	// without builds.
	HitRate *float64 `json:"hitRate,omitempty"`
	// SecondsSaved estimates the time that hits saved: for each step, the median of its
	// executions times the number of its hits.
	SecondsSaved float64 `json:"secondsSaved"`
	// SecondsLost is the time that the executed steps took.
	SecondsLost float64 `json:"secondsLost"`
	MeanSeconds float64 `json:"meanSeconds"` // wall time per build
	// RemoteCache is absent if no build used a cache elsewhere.
	RemoteCache *RemoteCacheStats `json:"remoteCache,omitempty"`
	Steps       []StepStats       `json:"steps"`
	Breakers    []Breaker         `json:"breakers"`
}

// RemoteCacheStats says what caches elsewhere cost and saved the builds that used one.
type RemoteCacheStats struct {
	Builds        int     `json:"builds"` // that wrote one or tried to read one
	ExportSeconds float64 `json:"exportSeconds"`
	ImportSeconds float64 `json:"importSeconds"`
	FetchSeconds  float64 `json:"fetchSeconds"` // of layers for imported steps
	// Imported counts the steps that were imported, and MaybeImported the hits of builds that
	// could read a cache, which may be the builder's own.
	Imported      int `json:"imported"`
	MaybeImported int `json:"maybeImported"`
	// SecondsSaved is of the former, SecondsSavedAtMost of both.
	SecondsSaved       float64 `json:"secondsSaved"`
	SecondsSavedAtMost float64 `json:"secondsSavedAtMost"`
	// Unknown is how many of both were never seen to run, and so are in no sum of seconds.
	Unknown int `json:"unknown"`
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

// Breaker is a step that was the first to miss in some builds.
type Breaker struct {
	Name        string  `json:"name"`
	Times       int     `json:"times"`       // number of those builds
	SecondsLost float64 `json:"secondsLost"` // by the step and those that ran because of it
	// Costliest is the one of these steps that took the most time.
	Costliest string `json:"costliest,omitempty"`
	// Causes are the known reasons, the costliest first.
	Causes []BreakerCause `json:"causes,omitempty"`
}

// BreakerCause is a reason why a breaker missed.
type BreakerCause struct {
	Kind      string `json:"kind"` // as in [WhyCause]
	Path      string `json:"path,omitempty"`
	PathBytes []byte `json:"pathBytes,omitempty"`
	Name      string `json:"name,omitempty"` // of a variable
	Times     int    `json:"times"`
	// SecondsLost is over the builds in which this was a reason, alone or with others.
	SecondsLost float64 `json:"secondsLost"`
}
