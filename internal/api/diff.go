package api

// ContextDiffSchema names the shape of [ContextDiff].
const ContextDiffSchema = "stoker.context-diff/v1"

// ContextDiff answers `stoker context diff`.
type ContextDiff struct {
	Schema      string                  `json:"schema"`
	From        DiffSide                `json:"from"`
	To          DiffSide                `json:"to"`
	Notes       []string                `json:"notes,omitempty"` // what is not known about a side
	Definitions []ContextDiffDefinition `json:"definitions"`
}

// DiffSide is one side of the comparison: a commit or, if it is empty, the work tree.
type DiffSide struct {
	Ref    string `json:"ref,omitempty"`    // as in the request
	Commit string `json:"commit,omitempty"` // full id
}

// ContextDiffDefinition says how the build context of one definition differs. Files that
// git does not track are in Untracked, and do not count in sizes and changes.
type ContextDiffDefinition struct {
	Name      string             `json:"name"`
	Context   SizeChange         `json:"context"`
	Sent      SizeChange         `json:"sent"`
	Changes   []DiffEntry        `json:"changes"`
	Untracked []DiffFolder       `json:"untracked"`       // in the work tree, the largest first
	Named     []ContextDiffNamed `json:"named,omitempty"` // named contexts that are folders and that the build uses
	Problem   string             `json:"problem,omitempty"`
	Hint      string             `json:"hint,omitempty"`
}

// ContextDiffNamed says how a named context differs, as [ContextDiffDefinition] does for
// the build context. On a side whose Dockerfile does not use it, it is empty.
type ContextDiffNamed struct {
	Name      string       `json:"name"`
	Context   SizeChange   `json:"context"`
	Sent      SizeChange   `json:"sent"`
	Changes   []DiffEntry  `json:"changes"`
	Untracked []DiffFolder `json:"untracked"`
	Problem   string       `json:"problem,omitempty"`
}

// SizeChange is a size on both sides.
type SizeChange struct {
	From Size `json:"from"`
	To   Size `json:"to"`
}

// DiffEntry is one path of the effective context that differs.
type DiffEntry struct {
	Path      string `json:"path"` // relative to the context, slash-separated
	PathBytes []byte `json:"pathBytes,omitempty"`
	// Change is added, removed, type, content, mode, or sent if the only difference is
	// whether the file is sent.
	Change string    `json:"change"`
	Ignore bool      `json:"ignore,omitempty"` // added or removed only because the ignore files differ
	From   *DiffFile `json:"from,omitempty"`   // absent if it is not in the context on that side
	To     *DiffFile `json:"to,omitempty"`
}

// DiffFile is a file on one side.
type DiffFile struct {
	Size int64 `json:"size"`
	Sent bool  `json:"sent"`
}

// DiffFolder is a file that git does not track, or a folder ("node_modules/") in which it
// tracks nothing.
type DiffFolder struct {
	Path      string `json:"path"`
	PathBytes []byte `json:"pathBytes,omitempty"`
	Context   Size   `json:"context"`
	Sent      Size   `json:"sent"`
}

// ContextDiffRequest asks how contexts differ from a commit.
type ContextDiffRequest struct {
	Query
	From string `json:"from"`         // a commit
	To   string `json:"to,omitempty"` // a commit; "" for the work tree
}
