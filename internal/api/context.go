package api

// ContextSchema names the shape of [Context].
const ContextSchema = "stoker.context/v1"

// Context answers `stoker context ls`.
type Context struct {
	Schema     string `json:"schema"`
	Definition string `json:"definition"`
	Root       string `json:"root"` // the context directory
	Dockerfile string `json:"dockerfile"`
	IgnoreFile string `json:"ignoreFile,omitempty"`
	Context    Size   `json:"context"`
	Sent       Size   `json:"sent"`
	// Unused is sent, and no step takes it; Shared is taken by several steps.
	Unused Size          `json:"unused"`
	Shared Size          `json:"shared"`
	Steps  []ContextStep `json:"steps"`           // those that take local files, in the Dockerfile's order
	Notes  []string      `json:"notes,omitempty"` // what the answer assumes
	// Step is the step whose files were asked for. Listed is what the filters of
	// the request leave; of that, Left is what a limit keeps out of Entries.
	Step    string         `json:"step,omitempty"`
	Listed  *Size          `json:"listed,omitempty"`
	Left    *Size          `json:"left,omitempty"`
	Entries []ContextEntry `json:"entries"`
}

// ContextStep is a COPY, an ADD or a RUN with a bind mount, and what it takes.
type ContextStep struct {
	Name  string `json:"name"` // "[build 3/7] COPY . .", instruction unexpanded
	Stage string `json:"stage,omitempty"`
	Index int    `json:"index"`           // in its stage, FROM being 1
	Lines [2]int `json:"lines"`           // in the Dockerfile, from and to
	Takes Size   `json:"takes"`           // named contexts included
	Mount bool   `json:"mount,omitempty"` // all it takes is mounted while it runs, and does not stay
}

// ContextStepsSchema names the shape of [ContextSteps].
const ContextStepsSchema = "stoker.context-steps/v1"

// ContextSteps answers `stoker context steps`: a [Context] without its entries.
type ContextSteps struct {
	Schema     string        `json:"schema"`
	Definition string        `json:"definition"`
	Dockerfile string        `json:"dockerfile"`
	Context    Size          `json:"context"`
	Sent       Size          `json:"sent"`
	Unused     Size          `json:"unused"` // sent, and taken by no step
	Shared     Size          `json:"shared"` // taken by several steps
	Steps      []ContextStep `json:"steps"`  // those that take local files, in the Dockerfile's order
	Notes      []string      `json:"notes,omitempty"`
}

// ContextEntry is one path of the effective context.
type ContextEntry struct {
	Path      string   `json:"path"` // relative to the context, slash-separated
	PathBytes []byte   `json:"pathBytes,omitempty"`
	Type      string   `json:"type"` // file, dir, symlink, hardlink, fifo, socket, device
	Size      int64    `json:"size"`
	Sent      bool     `json:"sent"`
	Steps     []string `json:"steps,omitempty"` // the steps that take it
}
