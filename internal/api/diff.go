package api

// ContextDiffSchema names the shape of [ContextDiff].
const ContextDiffSchema = "stoker.context-diff/v1"

// ContextDiff answers `stoker context diff`.
type ContextDiff struct {
	Schema      string                  `json:"schema"`
	From        DiffSide                `json:"from"`
	To          DiffSide                `json:"to"`
	Notes       []string                `json:"notes,omitempty"` // what of a side is not known
	Definitions []ContextDiffDefinition `json:"definitions"`
}

// DiffSide is what is compared: a commit, or the work tree.
type DiffSide struct {
	Ref    string `json:"ref,omitempty"`    // as it was asked for; absent for the work tree
	Commit string `json:"commit,omitempty"` // full id; absent for the work tree
}

// ContextDiffDefinition is how one definition's build context differs. Sizes and
// changes leave out what git does not track: that is in Untracked.
type ContextDiffDefinition struct {
	Name      string             `json:"name"`
	Context   SizeChange         `json:"context"`
	Sent      SizeChange         `json:"sent"`
	Changes   []DiffEntry        `json:"changes"`
	Untracked []DiffFolder       `json:"untracked"`       // of the work tree, the largest first
	Named     []ContextDiffNamed `json:"named,omitempty"` // named contexts that are folders and that the build asks for
	Problem   string             `json:"problem,omitempty"`
	Hint      string             `json:"hint,omitempty"`
}

// ContextDiffNamed is how a named context differs, as a build context does. On
// a side whose Dockerfile does not ask for it, nothing is in it.
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
	// Change is added, removed, type, content, mode or sent (only whether it is
	// sent differs). Ignore says that only the ignore file added or removed it.
	Change string    `json:"change"`
	Ignore bool      `json:"ignore,omitempty"`
	From   *DiffFile `json:"from,omitempty"` // absent where it is not in the context
	To     *DiffFile `json:"to,omitempty"`
}

// DiffFile is a file on one side.
type DiffFile struct {
	Size int64 `json:"size"`
	Sent bool  `json:"sent"`
}

// DiffFolder is a file that git does not track, or a folder ("node_modules/")
// with nothing in it that git does.
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
