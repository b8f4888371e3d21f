package api

// ContextSchema names the shape of [Context].
const ContextSchema = "stoker.context/v1"

// Context answers `stoker context ls`.
type Context struct {
	Schema     string         `json:"schema"`
	Definition string         `json:"definition"`
	Root       string         `json:"root"` // the context directory
	Dockerfile string         `json:"dockerfile"`
	IgnoreFile string         `json:"ignoreFile,omitempty"`
	Context    Size           `json:"context"`
	Sent       Size           `json:"sent"`
	Notes      []string       `json:"notes,omitempty"` // what the answer assumes
	Entries    []ContextEntry `json:"entries"`
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
