package api

import "time"

// StatusSchema names the shape of [Status].
const StatusSchema = "stoker.status/v1"

// Status answers `stoker status`: everything a first look needs, held ready
// by the daemon so that answering copies bytes.
type Status struct {
	Schema       string       `json:"schema"`
	Daemon       *Daemon      `json:"daemon,omitempty"` // absent when computed on the spot
	Builder      Builder      `json:"builder"`
	Repositories []Repository `json:"repositories"`
}

// Daemon describes the running daemon.
type Daemon struct {
	Version string  `json:"version"`
	PID     int     `json:"pid"`
	Uptime  float64 `json:"uptime"` // seconds
	Socket  string  `json:"socket"`
}

// Builder describes the BuildKit that stoker talks to.
type Builder struct {
	Name    string `json:"name,omitempty"`
	Kind    string `json:"kind,omitempty"` // docker, docker-container, remote, buildkit
	Address string `json:"address,omitempty"`
	Version string `json:"version,omitempty"`
	// Connected is false while no builder answers; Problem then says in one
	// line what was tried, and Hint how to mend it.
	Connected bool   `json:"connected"`
	Problem   string `json:"problem,omitempty"`
	Hint      string `json:"hint,omitempty"`
	// Note says in one line what a builder that answers cannot do.
	Note string `json:"note,omitempty"`
	// Unread are builds of its history that are still to be read, as after the
	// daemon's start.
	Unread int `json:"unread,omitempty"`
}

// Repository is one watched repository.
type Repository struct {
	Root     string  `json:"root"`
	Branch   string  `json:"branch,omitempty"`
	Commit   string  `json:"commit,omitempty"`
	Files    int     `json:"files"`    // files in the picture
	Sequence uint64  `json:"sequence"` // of the tree this answer is about
	Pending  bool    `json:"pending"`  // events have arrived that this answer does not hold yet
	Since    float64 `json:"since"`    // seconds it has been watched
	Allowed  bool    `json:"allowed"`  // its owner let stoker run its steps (`stoker allow`)
	// Watch says how changes are seen.
	Watch Watch `json:"watch"`
	// Problem is set while the repository itself cannot be served (its folder
	// is gone, its stoker.yaml does not parse); Hint names the mend.
	Problem string `json:"problem,omitempty"`
	Hint    string `json:"hint,omitempty"`
	// Notes say what of the repository's files was left out, or waits for consent.
	Notes       []string     `json:"notes,omitempty"`
	Definitions []Definition `json:"definitions"`
	Findings    []Finding    `json:"findings"`
	// Suggestions counts what `stoker suggest` would list.
	Suggestions int `json:"suggestions"`
}

// Watch says how a repository's changes are seen.
type Watch struct {
	Directories int    `json:"directories"`       // directories with a kernel watch
	Polled      int    `json:"polled"`            // directories polled for want of watches
	Problem     string `json:"problem,omitempty"` // why, and which setting to raise
}

// Definition is one thing that the repository builds.
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
	Steps      int      `json:"steps"` // steps that BuildKit can execute
	// Problem is set while this definition cannot be computed; Hint names the mend.
	Problem string   `json:"problem,omitempty"`
	Hint    string   `json:"hint,omitempty"`
	Notes   []string `json:"notes,omitempty"` // what the numbers assume
	// Builds, HitRate and History cover the last seven days; HitRate is
	// missing when there were none.
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

// Build is one finished build in short.
type Build struct {
	Ref         string    `json:"ref"`
	Status      string    `json:"status"`
	Interrupted bool      `json:"interrupted,omitempty"` // it was given up before it ended
	Completed   time.Time `json:"completed"`
	Seconds     float64   `json:"seconds"`
	Hits        int       `json:"hits"`
	Steps       int       `json:"steps"`
	// SelfReport says what the builder asked the client for that stoker had not worked
	// out: a defect of stoker's, unless the build was of another folder.
	SelfReport []string `json:"selfReport,omitempty"`
}

// Warmth says how warm a definition's cache is kept.
type Warmth struct {
	// State is one of off, waiting (for consent, a builder or quiet),
	// warming, ready, failed.
	State  string    `json:"state"`
	Level  string    `json:"level,omitempty"`  // base, deps or all
	Reason string    `json:"reason,omitempty"` // why it is not ready
	At     time.Time `json:"at,omitzero"`      // when it was last warmed
}
