package api

import "time"

// BuildReportSchema names the shape of [BuildReport].
const BuildReportSchema = "stoker.build/v1"

// BuildReport answers `stoker build`: what was built, how, and what it is worth.
type BuildReport struct {
	Schema     string `json:"schema"`
	Definition string `json:"definition"`
	Builder    string `json:"builder"`
	// OK says that it was built and every gate was passed.
	OK     bool   `json:"ok"`
	Status string `json:"status"` // completed or failed
	// Error is the kind of failure, without values.
	Error     string    `json:"error,omitempty"`
	Ref       string    `json:"ref"` // BuildKit's id of the build
	Completed time.Time `json:"completed"`
	Seconds   float64   `json:"seconds"` // wall time of the build itself
	// Hits of Needed steps were reused; skipped ones were not needed.
	Hits   int       `json:"hits"`
	Needed int       `json:"needed"`
	Steps  []WhyStep `json:"steps"`
	Digest string    `json:"digest,omitempty"` // of the image
	Tags   []string  `json:"tags"`
	// Pushed, Loaded and Signed say what was done with it.
	Pushed      bool          `json:"pushed"`
	Loaded      bool          `json:"loaded"`
	Signed      bool          `json:"signed"`
	Image       *Image        `json:"image,omitempty"`
	Scan        *BuildScan    `json:"scan,omitempty"`
	Smoke       *BuildSmoke   `json:"smoke,omitempty"`
	Suggestions []BuildAdvice `json:"suggestions"`
	Gates       []BuildGate   `json:"gates"`
	Notes       []string      `json:"notes,omitempty"`
}

// BuildScan is what a vulnerability scanner said.
type BuildScan struct {
	// Scanner is the one that answered; "" if the image was not scanned.
	Scanner  string         `json:"scanner"`
	Version  string         `json:"version,omitempty"`
	Database *time.Time     `json:"database,omitempty"` // when it was made
	Offline  bool           `json:"offline"`
	Seconds  float64        `json:"seconds"`
	Critical int            `json:"critical"`
	High     int            `json:"high"`
	Medium   int            `json:"medium"`
	Low      int            `json:"low"`
	Unknown  int            `json:"unknown"`
	Findings []BuildFinding `json:"findings"`
	Tried    []BuildAttempt `json:"tried"` // scanners that gave no answer
	Hint     string         `json:"hint,omitempty"`
}

// BuildFinding is a known vulnerability.
type BuildFinding struct {
	ID        string `json:"id"`
	Package   string `json:"package"`
	Installed string `json:"installed"`
	Fixed     string `json:"fixed,omitempty"`
	Severity  string `json:"severity"`
	Title     string `json:"title,omitempty"`
	URL       string `json:"url,omitempty"`
	Path      string `json:"path,omitempty"`
}

// BuildAttempt is a scanner that gave no answer.
type BuildAttempt struct {
	Scanner string `json:"scanner"`
	Reason  string `json:"reason"`
}

// BuildSmoke is what came of running the image.
type BuildSmoke struct {
	OK           bool         `json:"ok"`
	How          string       `json:"how,omitempty"`
	Seconds      float64      `json:"seconds"` // until it was ready
	Memory       int64        `json:"memory"`
	Checks       []BuildCheck `json:"checks"`
	Written      []string     `json:"written,omitempty"`
	WrittenCount int          `json:"writtenCount"`
	// Problem says why it could not be run at all.
	Problem string `json:"problem,omitempty"`
}

// BuildCheck is one thing that was looked at while it ran.
type BuildCheck struct {
	Name  string `json:"name"`  // starts, user, writes, stops
	State string `json:"state"` // passed, failed, skipped
	Text  string `json:"text"`
}

// BuildAdvice is a suggestion, in short.
type BuildAdvice struct {
	Rule         string  `json:"rule"`
	Title        string  `json:"title"`
	File         string  `json:"file"`
	Lines        [2]int  `json:"lines"`
	SavesSeconds float64 `json:"savesSeconds"`
	SavesBytes   int64   `json:"savesBytes"`
	Costs        string  `json:"costs"` // where these come from: observed or prior; empty where there are none
}

// BuildGate is a limit that was asked for.
type BuildGate struct {
	Gate string `json:"gate"` // build, max-size, min-efficiency, fail-on, smoke, push, sign, load
	OK   bool   `json:"ok"`
	Text string `json:"text"`
}
