package api

// ContextExplainSchema names the shape of [ContextExplain].
const ContextExplainSchema = "stoker.context-explain/v1"

// ContextExplain answers `stoker context explain`.
type ContextExplain struct {
	Schema string          `json:"schema"`
	Paths  []ExplainedPath `json:"paths"` // as they were asked for
}

// ExplainedPath is one path, and what the builds make of it.
type ExplainedPath struct {
	Path      string           `json:"path"` // as it was asked for
	PathBytes []byte           `json:"pathBytes,omitempty"`
	Exists    bool             `json:"exists"`
	Builds    []ExplainedBuild `json:"builds"` // in whose contexts it lies; none if it lies in none
}

// ExplainedBuild is what one build makes of a path.
type ExplainedBuild struct {
	Definition string `json:"definition"`
	Problem    string `json:"problem,omitempty"` // why it cannot be computed; the rest is then empty
	Named      string `json:"named,omitempty"`   // the named context that holds the path; absent for the build context
	Path       string `json:"path"`              // relative to the context, slash-separated
	PathBytes  []byte `json:"pathBytes,omitempty"`
	Type       string `json:"type,omitempty"` // of what is in the context, as in a [ContextEntry]
	Size       int64  `json:"size"`
	// Ignored is decided by the rules: the path need not exist. Without a line
	// in By nothing matched.
	Ignored    bool          `json:"ignored"`
	IgnoreFile string        `json:"ignoreFile,omitempty"`
	By         *IgnoreLine   `json:"by,omitempty"`
	Matched    []IgnoreLine  `json:"matched,omitempty"` // all lines that match the path or a parent of it
	Sent       bool          `json:"sent"`
	Steps      []ExplainStep `json:"steps"` // that take it; would take it, if it does not exist
	// Below counts what a folder holds.
	Below *ExplainBelow `json:"below,omitempty"`
}

// IgnoreLine is a line of an ignore file.
type IgnoreLine struct {
	Line    int    `json:"line"`
	Pattern string `json:"pattern"` // normalised
}

// ExplainStep is a step that takes a path.
type ExplainStep struct {
	Name  string `json:"name"`
	Lines [2]int `json:"lines"` // in the Dockerfile, from and to
}

// ExplainBelow counts the files below a folder.
type ExplainBelow struct {
	Context Size `json:"context"`
	Sent    Size `json:"sent"`
	Ignored int  `json:"ignored"` // as far as known
	// Unread are ignored folders that nobody looked into, relative to the context.
	Unread []string `json:"unread,omitempty"`
}

// ContextExplainRequest asks what decides about paths.
type ContextExplainRequest struct {
	Query
	Paths []string `json:"paths"` // absolute, or as seen from Dir, or else from a context's root
	// PathsBytes are the same paths where one is not UTF-8, which JSON cannot hold.
	PathsBytes [][]byte `json:"pathsBytes,omitempty"`
}
