package api

// ContextTreeSchema names the shape of [ContextTree].
const ContextTreeSchema = "stoker.context-tree/v1"

// ContextTree answers `stoker context tree`.
type ContextTree struct {
	Schema     string     `json:"schema"`
	Definition string     `json:"definition"`
	Root       string     `json:"root"`    // the context directory
	Path       string     `json:"path"`    // where the tree begins, "." for the whole context
	Context    Size       `json:"context"` // of the whole build
	Sent       Size       `json:"sent"`
	Notes      []string   `json:"notes,omitempty"`
	Entries    []TreeNode `json:"entries"` // parents before children, the largest first
}

// TreeNode is a file, or a folder with the sums of what is in it.
type TreeNode struct {
	Path      string `json:"path"` // relative to the context, slash-separated
	PathBytes []byte `json:"pathBytes,omitempty"`
	Type      string `json:"type"`  // as in a [ContextEntry]
	Depth     int    `json:"depth"` // of the first entry it is 0
	Context   Size   `json:"context"`
	Sent      Size   `json:"sent"`
	Left      int    `json:"left,omitempty"` // number of entries directly in this folder that are not listed because of the limit
}

// ContextTreeRequest asks for the sizes of a definition's folders.
type ContextTreeRequest struct {
	Query
	Path  string `json:"path,omitempty"`  // absolute path of a folder in the context; "" for all of it
	Depth int    `json:"depth,omitempty"` // depth to which to list; 0 for all
	Sent  bool   `json:"sent,omitempty"`  // only what is sent
	Limit int    `json:"limit,omitempty"` // number of entries at most, the largest; 0 for all
}
