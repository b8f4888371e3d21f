package api

import "time"

// WhySchema names the shape of [Why].
const WhySchema = "stoker.why/v1"

// Why answers `stoker why`: what became of each step of a finished build, and what
// made those run that did.
type Why struct {
	Schema      string    `json:"schema"`
	Ref         string    `json:"ref"` // BuildKit's id of the build
	Builder     string    `json:"builder"`
	Definition  string    `json:"definition"`
	Status      string    `json:"status"`                // completed, failed or canceled
	Interrupted bool      `json:"interrupted,omitempty"` // it was given up before it ended
	Completed   time.Time `json:"completed"`
	Seconds     float64   `json:"seconds"` // wall time
	// Error says in short why it did not succeed, without values.
	Error string `json:"error,omitempty"`
	// Hits of Needed steps were reused; skipped ones were not needed.
	Hits   int       `json:"hits"`
	Needed int       `json:"needed"`
	Steps  []WhyStep `json:"steps"`
	Notes  []string  `json:"notes,omitempty"` // what is odd about the whole
}

// WhyStep is one step of the build.
type WhyStep struct {
	Name     string `json:"name"`
	Stage    string `json:"stage,omitempty"`
	Platform string `json:"platform,omitempty"`
	Index    int    `json:"index"`
	Line     int    `json:"line,omitempty"` // in the Dockerfile
	// Outcome is hit, imported, joined, executed, cascaded, skipped or failed.
	Outcome string  `json:"outcome"`
	Seconds float64 `json:"seconds"`
	// Cause says why it ran, the most telling first; absent if it did not. More are
	// the others.
	Cause *WhyCause  `json:"cause,omitempty"`
	More  []WhyCause `json:"more,omitempty"`
	// Against is the build that the step was compared with.
	Against string `json:"against,omitempty"`
}

// WhyCause is one thing that made a step run.
type WhyCause struct {
	// Kind is files, arg, env, base, dockerfile, secret, ssh, platform, options,
	// download, no-cache, gone, first, per-build, input or unknown.
	Kind string `json:"kind"`
	Text string `json:"text"`
	// Step is the step that it is about, if that is another one: what is built on, or
	// of kind input what was followed.
	Step string `json:"step,omitempty"`
	// Name is that of a variable, or of a named context that files are of.
	Name string `json:"name,omitempty"`
	Line int    `json:"line,omitempty"` // in the Dockerfile
	// Before and After are versions of an instruction, digests of an image or
	// platforms.
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
	// Reason is, of kind unknown, why: unwatched, moving, unseen, unreadable, no-evidence, unmatched
	// or download.
	Reason string    `json:"reason,omitempty"`
	Paths  []WhyPath `json:"paths,omitempty"` // of kind files, the most telling first
}

// WhyPath is a path that differs.
type WhyPath struct {
	Path      string `json:"path"` // relative to the context
	PathBytes []byte `json:"pathBytes,omitempty"`
	// Change is content, mode, added, removed, type, link, device or xattr; Changes
	// are all, where there are several.
	Change  string   `json:"change"`
	Changes []string `json:"changes,omitempty"`
	// Before and After are of the change: modes ("644"), link targets, types. Of
	// content nothing is told.
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}
