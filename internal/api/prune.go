package api

import "time"

// PruneSchema names the shape of [Prune].
const PruneSchema = "stoker.prune/v1"

// PruneRequest asks what the builder keeps and which of it can be removed, or removes
// it. Only a record that meets all of the conditions below is selected.
type PruneRequest struct {
	Query         // if it has names, only records that these definitions made
	Older float64 `json:"older,omitempty"` // only records not used for so many seconds
	Keep  int64   `json:"keep,omitempty"`  // only as many as needed to keep at most so many bytes; 0 for no such limit
	All   bool    `json:"all,omitempty"`   // also records that no observed build explains
	// Remove are the ids of the records to remove. They must be among those that the
	// answer to the same request without Remove has. A record that has become needed or
	// in use since is not removed.
	Remove []string `json:"remove,omitempty"`
}

// Prune answers `stoker prune`.
type Prune struct {
	Schema  string        `json:"schema"`
	Builder string        `json:"builder"`
	Held    PruneSum      `json:"held"`   // everything that the builder keeps
	Needed  PruneSum      `json:"needed"` // what the next builds of watched definitions need
	Others  []PruneKind   `json:"others"` // what no observed build explains
	Remove  PruneSum      `json:"remove"` // what the request selects
	Shared  PruneSum      `json:"shared"` // what images have as well: it is kept as long as they are
	Records []PruneRecord `json:"records"`
	// Removed is what was removed. It is present only if the request has Remove; the
	// other fields are about what is left then.
	Removed *PruneSum `json:"removed,omitempty"`
}

// PruneSum is a number of records and their size.
type PruneSum struct {
	Records int   `json:"records"`
	Bytes   int64 `json:"bytes"`
}

// PruneKind is the number and size of the records of one kind.
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
	Bytes    int64     `json:"bytes"`    // without the records that it builds on
	LastUsed time.Time `json:"lastUsed"` // by a build; when it was made if no build used it
	Uses     int       `json:"uses"`
	// Owner is the step that made it. It is absent if no observed build explains it.
	Owner  *PruneOwner `json:"owner,omitempty"`
	Needed bool        `json:"needed,omitempty"` // the next build of a watched definition may use it
	InUse  bool        `json:"inUse,omitempty"`  // a build is using it
	Shared bool        `json:"shared,omitempty"` // an image has it as well
	Remove bool        `json:"remove,omitempty"` // the request selects it
}

// PruneOwner is the step that made a record.
type PruneOwner struct {
	Repository string `json:"repository"`
	Definition string `json:"definition"`
	Step       string `json:"step"` // as in stoker.stats/v1
}
