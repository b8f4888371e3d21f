package cache

import "time"

// An Outcome says what became of a step in one build.
type Outcome string

// The outcomes of a step. BuildKit's own flag for cached vertices does not tell them apart
// (BuildKit: solver/progress.go, solver/jobs.go): see [Classify].
const (
	Hit      Outcome = "hit"      // reused from the builder's cache
	Imported Outcome = "imported" // reused from a remote cache
	Joined   Outcome = "joined"   // another build was running it at that moment
	Executed Outcome = "executed" // ran although none of its inputs ran: a breaker
	Cascaded Outcome = "cascaded" // ran because an input ran
	Skipped  Outcome = "skipped"  // the build ended before it was needed or done
	Failed   Outcome = "failed"   // ran and failed
)

// Ran reports whether the step cost its execution time in this build.
func (o Outcome) Ran() bool { return o == Executed || o == Cascaded || o == Failed }

// Reused reports whether the step counts as a hit in ratios.
func (o Outcome) Reused() bool { return o == Hit || o == Imported || o == Joined }

// Status says how a build ended.
type Status string

// The ways a build ends.
const (
	Completed Status = "completed"
	Broken    Status = "failed"
	Canceled  Status = "canceled"
)

// A Record is one finished build, made by any client of a builder. It holds
// no value of an arg, env variable or secret.
type Record struct {
	Builder    string    `json:"builder"`              // name of the builder it ran on
	Ref        string    `json:"ref"`                  // BuildKit's id of the build, unique on its builder
	Generation int32     `json:"generation"`           // grows when the builder updates the record
	Repository string    `json:"repository,omitempty"` // real path of the repository's root; "" if none is known
	Definition string    `json:"definition,omitempty"` // name of the definition; "" if none matched
	Status     Status    `json:"status"`
	Error      string    `json:"error,omitempty"` // kind of failure without values: "step 4/7 exit code 1"
	Created    time.Time `json:"created"`
	Completed  time.Time `json:"completed"`
	Remote     RemoteUse `json:"remote,omitzero"`
	Steps      []Step    `json:"steps"`
}

// A RemoteUse is what a build had to do with caches outside its builder. It has seconds, also of
// what failed; work of one kind that went on at once counts once. It is zero for a build that
// used no such cache, and for one that was recorded before stoker kept this.
type RemoteUse struct {
	Export float64 `json:"export,omitempty"` // writing results to caches
	Import float64 `json:"import,omitempty"` // reading what caches have
	// Fetch is the download and unpacking of layers for steps that are [Imported]. Among them
	// may be layers of the base image and of steps before.
	Fetch float64 `json:"fetch,omitempty"`
	Read  bool    `json:"read,omitempty"` // a cache could be read, so that hits may come from it
}

// A Step is a Dockerfile step within a [Record].
type Step struct {
	// Name has the form of BuildKit's vertex name, "[build 3/7] COPY . .",
	// with the instruction as the Dockerfile writes it.
	Name     string    `json:"name"`
	Stage    string    `json:"stage,omitempty"`
	Platform string    `json:"platform,omitempty"`
	Index    int       `json:"index"` // position in the stage, counting from 1 (FROM)
	Total    int       `json:"total"`
	Line     int       `json:"line,omitempty"` // first line in the Dockerfile; 0 if unknown
	Outcome  Outcome   `json:"outcome"`
	Started  time.Time `json:"started,omitzero"`
	Seconds  float64   `json:"seconds"` // execution time; 0 for a step that did not run
}

// Seconds returns the wall time of the build.
func (r Record) Seconds() float64 { return r.Completed.Sub(r.Created).Seconds() }

// Hits returns how many steps were reused, of the total that BuildKit needed. Steps that were
// skipped count in neither.
func (r Record) Hits() (hits, total int) {
	for _, s := range r.Steps {
		if s.Outcome == Skipped {
			continue
		}
		total++
		if s.Outcome.Reused() {
			hits++
		}
	}
	return hits, total
}
