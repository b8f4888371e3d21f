package api

// CheckSchema names the shape of [Check].
const CheckSchema = "stoker.check/v1"

// Check answers `stoker check`, the CI gate.
type Check struct {
	Schema      string            `json:"schema"`
	OK          bool              `json:"ok"`
	Definitions []CheckDefinition `json:"definitions"`
	Findings    []Finding         `json:"findings"`
	// Problem says why some definitions could not be found. Those are not checked.
	Problem string `json:"problem,omitempty"`
	Hint    string `json:"hint,omitempty"` // what the user can do about Problem
}

// CheckDefinition compares the sizes of a definition with its budget.
type CheckDefinition struct {
	Name       string   `json:"name"`
	Dockerfile string   `json:"dockerfile,omitempty"` // relative to the repository
	Context    Size     `json:"context"`
	Sent       Size     `json:"sent"`
	Budget     Budget   `json:"budget"`
	Over       []string `json:"over,omitempty"` // the limits that are exceeded: context, sent, file, files
	Problem    string   `json:"problem,omitempty"`
	Hint       string   `json:"hint,omitempty"`
}

// Budget limits the size of a context. Zero means no limit.
type Budget struct {
	Context int64 `json:"context,omitempty"` // bytes of the effective context
	Sent    int64 `json:"sent,omitempty"`    // bytes of the sent set
	File    int64 `json:"file,omitempty"`    // bytes of a single file
	Files   int   `json:"files,omitempty"`   // number of files in the effective context
}

// Finding is something wrong with a context.
type Finding struct {
	Rule       string `json:"rule"`     // large-file, a secret rule's id, copy-source-missing, …
	Severity   string `json:"severity"` // error, warning or note
	Definition string `json:"definition,omitempty"`
	Path       string `json:"path"`                // relative to the repository, slash-separated
	PathBytes  []byte `json:"pathBytes,omitempty"` // the exact path, if it is not UTF-8
	Line       int    `json:"line,omitempty"`
	Size       int64  `json:"size,omitempty"`
	Message    string `json:"message"`
	// Reaches says how far the file gets: final (it is in the image), intermediate (in
	// a stage that is not in the image), sent (to the builder, but no step takes it) or
	// context (in the effective context, but not sent).
	Reaches     string `json:"reaches"`
	Step        string `json:"step,omitempty"`     // the step that takes it: "[build 3/7] COPY . ."
	StepLine    int    `json:"stepLine,omitempty"` // in the Dockerfile
	Fingerprint string `json:"fingerprint"`        // the same in later runs, even if lines move
}
