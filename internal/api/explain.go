package api

// ContextExplainSchema names the shape of [ContextExplain].
const ContextExplainSchema = "stoker.context-explain/v1"

// ContextExplain answers `stoker context explain`.
type ContextExplain struct {
	Schema string          `json:"schema"`
	Paths  []ExplainedPath `json:"paths"` // in the order of the request
}

// ExplainedPath says what the builds do with a path.
type ExplainedPath struct {
	Path      string           `json:"path"` // as in the request
	PathBytes []byte           `json:"pathBytes,omitempty"`
	Exists    bool             `json:"exists"`
	Builds    []ExplainedBuild `json:"builds"` // those that have it in one of their contexts
}

// ExplainedBuild says what one build does with a path.
type ExplainedBuild struct {
	Definition string `json:"definition"`
	Problem    string `json:"problem,omitempty"` // why it cannot be computed; the rest is empty then
	Named      string `json:"named,omitempty"`   // the named context that the path is in; absent for the build context
	Path       string `json:"path"`              // relative to the context, slash-separated
	PathBytes  []byte `json:"pathBytes,omitempty"`
	Type       string `json:"type,omitempty"` // as in a [ContextEntry]; absent if the path is not in the context
	Size       int64  `json:"size"`
	// Ignored says whether the ignore file leaves the path out, which need not exist.
	Ignored    bool          `json:"ignored"`
	IgnoreFile string        `json:"ignoreFile,omitempty"`
	By         *IgnoreLine   `json:"by,omitempty"`      // the line that decides; absent if none matches
	Matched    []IgnoreLine  `json:"matched,omitempty"` // all lines that match the path or a parent of it
	Sent       bool          `json:"sent"`
	Steps      []ExplainStep `json:"steps"`           // those that take it, or would if it existed
	Below      *ExplainBelow `json:"below,omitempty"` // what is in a folder
}

// IgnoreLine is a line of an ignore file.
type IgnoreLine struct {
	Line    int    `json:"line"`
	Pattern string `json:"pattern"` // cleaned, as BuildKit uses it
}

// ExplainStep is a step that takes a path.
type ExplainStep struct {
	Name  string `json:"name"`
	Lines [2]int `json:"lines"` // first and last in the Dockerfile
}

// ExplainBelow counts the files below a folder.
type ExplainBelow struct {
	Context Size `json:"context"`
	Sent    Size `json:"sent"`
	Ignored int  `json:"ignored"` // without those in Unread
	// Unread are ignored folders that were not read, relative to the context.
	Unread []string `json:"unread,omitempty"`
}

// ContextExplainRequest asks what decides about paths.
type ContextExplainRequest struct {
	Query
	Paths []string `json:"paths"` // absolute, or relative to Dir, to the repository or to a context
	// PathsBytes are the exact paths, if one of them is not UTF-8, which JSON cannot express.
	PathsBytes [][]byte `json:"pathsBytes,omitempty"`
}
