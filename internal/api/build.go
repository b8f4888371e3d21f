package api

import "time"

// BuildReportSchema names the shape of [BuildReport].
const BuildReportSchema = "stoker.build/v1"

// BuildReport answers `stoker build`: what was built, how, and how good the result is.
type BuildReport struct {
	Schema     string `json:"schema"`
	Definition string `json:"definition"`
	Builder    string `json:"builder"`
	// OK says that the build succeeded and passed every gate.
	OK     bool   `json:"ok"`
	Status string `json:"status"` // completed or failed
	// Error says why the build failed, without values of args or secrets.
	Error     string    `json:"error,omitempty"`
	Ref       string    `json:"ref"` // BuildKit's id of the build
	Completed time.Time `json:"completed"`
	Seconds   float64   `json:"seconds"` // wall time of the build itself
	// Hits is how many of the Needed steps were reused. Skipped steps are not needed.
	Hits   int       `json:"hits"`
	Needed int       `json:"needed"`
	Steps  []WhyStep `json:"steps"`
	Digest string    `json:"digest,omitempty"` // of the image
	Tags   []string  `json:"tags"`
	// Pushed, Loaded and Signed say what was done with the image.
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

// BuildScan is the result of a vulnerability scanner.
type BuildScan struct {
	// Scanner is the scanner that was used; "" if the image was not scanned.
	Scanner  string         `json:"scanner"`
	Version  string         `json:"version,omitempty"`
	Database *time.Time     `json:"database,omitempty"` // when the scanner's database was made
	Offline  bool           `json:"offline"`
	Seconds  float64        `json:"seconds"`
	Critical int            `json:"critical"`
	High     int            `json:"high"`
	Medium   int            `json:"medium"`
	Low      int            `json:"low"`
	Unknown  int            `json:"unknown"`
	Findings []BuildFinding `json:"findings"`
	Tried    []BuildAttempt `json:"tried"` // scanners that did not work
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

// BuildAttempt is a scanner that did not work, with the reason.
type BuildAttempt struct {
	Scanner string `json:"scanner"`
	Reason  string `json:"reason"`
}

// BuildSmoke is the result of running the image.
type BuildSmoke struct {
	OK           bool         `json:"ok"`
	How          string       `json:"how,omitempty"`     // how it was run
	Seconds      float64      `json:"seconds"`           // until it was ready
	Memory       int64        `json:"memory"`            // bytes
	Checks       []BuildCheck `json:"checks"`            // in the order in which they were made
	Written      []string     `json:"written,omitempty"` // paths that it wrote to outside of volumes
	WrittenCount int          `json:"writtenCount"`      // number of all such paths; Written has at most 100
	// Problem says why the image could not be run at all.
	Problem string `json:"problem,omitempty"`
}

// BuildCheck is one check of the running image.
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
	Costs        string  `json:"costs"` // the source of these: observed or prior; empty if there is none
}

// BuildGate is a condition that the build had to meet.
type BuildGate struct {
	Gate string `json:"gate"` // build, max-size, min-efficiency, fail-on, smoke, push, sign, load
	OK   bool   `json:"ok"`
	Text string `json:"text"`
}
