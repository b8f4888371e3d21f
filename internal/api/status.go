package api

import "time"

// StatusSchema names the shape of [Status].
const StatusSchema = "stoker.status/v1"

// Status answers `stoker status`: an overview of everything. The daemon keeps it ready
// as JSON.
type Status struct {
	Schema       string       `json:"schema"`
	Daemon       *Daemon      `json:"daemon,omitempty"` // absent if the answer was computed without a daemon
	Builder      Builder      `json:"builder"`
	Repositories []Repository `json:"repositories"`
}

// Daemon describes the running daemon.
type Daemon struct {
	Version string  `json:"version"`
	PID     int     `json:"pid"`
	Uptime  float64 `json:"uptime"` // seconds
	Socket  string  `json:"socket"`
	// Unstored is absent if all that the daemon learnt of builds is stored.
	Unstored *Unstored `json:"unstored,omitempty"`
}

// Unstored is what the daemon learnt of builds and could not store, as on a full disk. It tries
// again until it can.
type Unstored struct {
	// Builds is the number of builds that ended and are not stored. It may be 0: then what
	// is known of the builder's cache is not.
	Builds  int       `json:"builds"`
	Since   time.Time `json:"since"`   // when the first of it could not be stored
	Problem string    `json:"problem"` // why, in one line
	Hint    string    `json:"hint"`    // what the user can do about it
}

// Builder describes the BuildKit that stoker talks to.
type Builder struct {
	Name    string `json:"name,omitempty"`
	Kind    string `json:"kind,omitempty"` // docker, docker-container, remote, buildkit
	Address string `json:"address,omitempty"`
	Version string `json:"version,omitempty"`
	// Connected is false while no builder answers. Problem then says in one line what
	// was tried, and Hint what the user can do about it.
	Connected bool   `json:"connected"`
	Problem   string `json:"problem,omitempty"`
	Hint      string `json:"hint,omitempty"`
	Note      string `json:"note,omitempty"`   // in one line, what a connected builder cannot do
	Unread    int    `json:"unread,omitempty"` // number of builds in its history that are still to be read
}

// Repository is one watched repository.
type Repository struct {
	Root     string  `json:"root"`
	Branch   string  `json:"branch,omitempty"`
	Commit   string  `json:"commit,omitempty"`
	Files    int     `json:"files"`    // number of files in its directories, as far as they were read
	Sequence uint64  `json:"sequence"` // of the tree that this answer is about
	Pending  bool    `json:"pending"`  // events have arrived that are not in this answer yet
	Since    float64 `json:"since"`    // seconds that it has been watched
	Allowed  bool    `json:"allowed"`  // its owner has consented to running its steps (`stoker allow`)
	Watch    Watch   `json:"watch"`
	// Problem is set if the repository cannot be served at all, because its folder is
	// gone or its stoker.yaml does not parse. Hint says what the user can do about it.
	Problem     string       `json:"problem,omitempty"`
	Hint        string       `json:"hint,omitempty"`
	Notes       []string     `json:"notes,omitempty"` // which of its files were ignored, or wait for consent
	Definitions []Definition `json:"definitions"`
	Findings    []Finding    `json:"findings"`
	Suggestions int          `json:"suggestions"` // number of suggestions that `stoker suggest` would list
}

// Watch says how changes in a repository are noticed.
type Watch struct {
	Directories int    `json:"directories"`       // number of directories with a kernel watch
	Polled      int    `json:"polled"`            // number of directories that are polled instead
	Problem     string `json:"problem,omitempty"` // why they are, and which setting to raise
}

// Definition is one thing that a repository builds.
type Definition struct {
	Name       string   `json:"name"`
	Origin     string   `json:"origin,omitempty"` // the file that defines it, relative to the repository, or "observed build"
	ContextDir string   `json:"contextDir"`       // relative to the repository, "." for its root
	Dockerfile string   `json:"dockerfile"`       // relative to the repository
	IgnoreFile string   `json:"ignoreFile,omitempty"`
	Target     string   `json:"target,omitempty"`
	Platforms  []string `json:"platforms,omitempty"`
	Args       []string `json:"args,omitempty"` // names only
	Context    Size     `json:"context"`
	Sent       Size     `json:"sent"`
	Steps      int      `json:"steps"` // number of steps that BuildKit can execute
	// Problem is set if this definition cannot be computed. Hint says what the user can
	// do about it.
	Problem string   `json:"problem,omitempty"`
	Hint    string   `json:"hint,omitempty"`
	Notes   []string `json:"notes,omitempty"` // what the numbers assume
	// Builds, HitRate and History are about the last seven days. HitRate is absent
	// without builds.
	Builds  int       `json:"builds"`
	HitRate *float64  `json:"hitRate,omitempty"` // 0..1
	History []float64 `json:"history,omitempty"` // hit rate of the newest builds, oldest first
	Last    *Build    `json:"last,omitempty"`
	Warm    Warmth    `json:"warm"`
}

// Size is a number of files and of bytes.
type Size struct {
	Files int   `json:"files"`
	Bytes int64 `json:"bytes"`
}

// Build is a short form of a finished build.
type Build struct {
	Ref         string    `json:"ref"`
	Status      string    `json:"status"`
	Interrupted bool      `json:"interrupted,omitempty"` // it was cancelled
	Completed   time.Time `json:"completed"`
	Seconds     float64   `json:"seconds"`
	Hits        int       `json:"hits"`
	Steps       int       `json:"steps"`
	// SelfReport says where the builder asked the client for something else than stoker
	// had computed. That is a defect in stoker, unless the build was of another folder.
	SelfReport []string `json:"selfReport,omitempty"`
}

// Warmth says whether a definition's cache is warm.
type Warmth struct {
	// State is off, waiting (for consent, for a builder, or for changes to stop),
	// warming, ready or failed.
	State  string    `json:"state"`
	Level  string    `json:"level,omitempty"`  // base, deps or all
	Reason string    `json:"reason,omitempty"` // why it is not ready
	At     time.Time `json:"at,omitzero"`      // when it was last warmed
}
