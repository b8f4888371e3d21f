package api

import "time"

// WhySchema names the shape of [Why].
const WhySchema = "stoker.why/v1"

// Why answers `stoker why`: the outcome of each step of a finished build, and why those
// that ran did.
type Why struct {
	Schema      string    `json:"schema"`
	Ref         string    `json:"ref"` // BuildKit's id of the build
	Builder     string    `json:"builder"`
	Definition  string    `json:"definition"`
	Status      string    `json:"status"`                // completed, failed or canceled
	Interrupted bool      `json:"interrupted,omitempty"` // it was cancelled
	Completed   time.Time `json:"completed"`
	Seconds     float64   `json:"seconds"` // wall time
	// Error says briefly why the build failed, without values of args or secrets.
	Error string `json:"error,omitempty"`
	// Hits is how many of the Needed steps were reused. Skipped steps are not needed.
	Hits   int       `json:"hits"`
	Needed int       `json:"needed"`
	Steps  []WhyStep `json:"steps"`
	Notes  []string  `json:"notes,omitempty"` // what is unusual about the build as a whole
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
	// Cause is the main reason why the step ran, and More are the others. They are
	// absent if it did not run.
	Cause   *WhyCause  `json:"cause,omitempty"`
	More    []WhyCause `json:"more,omitempty"`
	Against string     `json:"against,omitempty"` // ref of the build with which the step was compared
}

// WhyCause is one reason why a step ran.
type WhyCause struct {
	// Kind is files, arg, env, base, dockerfile, secret, ssh, platform, options,
	// download, no-cache, gone, first, per-build, input or unknown.
	Kind string `json:"kind"`
	Text string `json:"text"`
	// Step is the step that the reason is about, if it is another one: one that this
	// step builds on, or for kind input the one that ran.
	Step string `json:"step,omitempty"`
	Name string `json:"name,omitempty"` // of a variable, or of the named context with the files
	Line int    `json:"line,omitempty"` // in the Dockerfile
	// Before and After are texts of an instruction, digests of an image, or platforms.
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
	// Reason says why the reason is unknown, for that kind: unwatched, undeclared, moving,
	// unseen, unreadable, no-evidence, unmatched or download.
	Reason string    `json:"reason,omitempty"`
	Paths  []WhyPath `json:"paths,omitempty"` // for kind files, the most important first
}

// WhyPath is a path that differs.
type WhyPath struct {
	Path      string `json:"path"` // relative to the context
	PathBytes []byte `json:"pathBytes,omitempty"`
	// Change is content, mode, added, removed, type, link, device or xattr. If there are
	// several, Changes has all of them.
	Change  string   `json:"change"`
	Changes []string `json:"changes,omitempty"`
	// Before and After are modes ("644"), link targets or types. They never have
	// content.
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}
