package api

import "time"

// PruneSchema names the shape of [Prune].
const PruneSchema = "stoker.prune/v1"

// PruneRequest asks what the builder keeps and what of it may go, or has some of
// it removed.
type PruneRequest struct {
	Query // with names: only what these definitions made goes
	// Older is for how many seconds nobody has used what goes; 0 for any time.
	Older float64 `json:"older,omitempty"`
	// Keep is how many bytes may stay: no more goes than has to. 0 for no bound.
	Keep int64 `json:"keep,omitempty"`
	// All lets go what no observed build explains, too.
	All bool `json:"all,omitempty"`
	// Remove are the ids of records to remove, of those that an answer to the same
	// request has named. What is needed or in use by now stays.
	Remove []string `json:"remove,omitempty"`
}

// Prune answers `stoker prune`.
type Prune struct {
	Schema  string        `json:"schema"`
	Builder string        `json:"builder"`
	Held    PruneSum      `json:"held"`   // all that the builder keeps
	Needed  PruneSum      `json:"needed"` // by the next builds of what is watched, with what that builds on
	Others  []PruneKind   `json:"others"` // what no observed build explains
	Remove  PruneSum      `json:"remove"` // what goes by what was asked for
	Shared  PruneSum      `json:"shared"` // what images have, too: it stays while they do
	Records []PruneRecord `json:"records"`
	// Removed is what went: only after a removal, whose answer is about what is
	// left.
	Removed *PruneSum `json:"removed,omitempty"`
}

// PruneSum is a number of records, and what they take.
type PruneSum struct {
	Records int   `json:"records"`
	Bytes   int64 `json:"bytes"`
}

// PruneKind is how much there is of one kind.
type PruneKind struct {
	Kind    string `json:"kind"`
	Records int    `json:"records"`
	Bytes   int64  `json:"bytes"`
}

// PruneRecord is something that the builder keeps.
type PruneRecord struct {
	ID string `json:"id"` // BuildKit's
	// Kind is step, cache-mount, image, local-files, git, download or internal.
	Kind     string    `json:"kind"`
	Bytes    int64     `json:"bytes"`    // without what it builds on
	LastUsed time.Time `json:"lastUsed"` // by a build; when it was made if none has used it
	Uses     int       `json:"uses"`
	// Owner is whose step made it; missing if no observed build explains it.
	Owner *PruneOwner `json:"owner,omitempty"`
	// Needed says that the next build of something that is watched may take it,
	// InUse that a build does right now, Shared that an image has it too.
	Needed bool `json:"needed,omitempty"`
	InUse  bool `json:"inUse,omitempty"`
	Shared bool `json:"shared,omitempty"`
	Remove bool `json:"remove,omitempty"` // it goes by what was asked for
}

// PruneOwner is the step that made a record.
type PruneOwner struct {
	Repository string `json:"repository"`
	Definition string `json:"definition"`
	Step       string `json:"step"` // as in stoker.stats/v1
}
