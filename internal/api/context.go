package api

// ContextSchema names the shape of [Context].
const ContextSchema = "stoker.context/v1"

// Context answers `stoker context ls`.
type Context struct {
	Schema     string        `json:"schema"`
	Definition string        `json:"definition"`
	Root       string        `json:"root"` // the context directory
	Dockerfile string        `json:"dockerfile"`
	IgnoreFile string        `json:"ignoreFile,omitempty"`
	Context    Size          `json:"context"`
	Sent       Size          `json:"sent"`
	Unused     Size          `json:"unused"`          // sent, but taken by no step
	Shared     Size          `json:"shared"`          // taken by several steps
	Steps      []ContextStep `json:"steps"`           // those that take local files, in the Dockerfile's order
	Notes      []string      `json:"notes,omitempty"` // what the answer assumes

	// What follows is about the request's filters. Step is the step that it names,
	// Listed what its filters select. Left is the part of that which is not in Entries
	// because of the limit.
	Step    string         `json:"step,omitempty"`
	Listed  *Size          `json:"listed,omitempty"`
	Left    *Size          `json:"left,omitempty"`
	Entries []ContextEntry `json:"entries"`
}

// ContextStep is a COPY, an ADD or a RUN with a bind mount, and what it takes.
type ContextStep struct {
	Name  string `json:"name"` // "[build 3/7] COPY . .", with variables not expanded
	Stage string `json:"stage,omitempty"`
	Index int    `json:"index"`           // in its stage; FROM is 1
	Lines [2]int `json:"lines"`           // first and last in the Dockerfile
	Takes Size   `json:"takes"`           // from all contexts, named ones included
	Mount bool   `json:"mount,omitempty"` // it only mounts files while it runs
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
	Unused     Size          `json:"unused"` // sent, but taken by no step
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
