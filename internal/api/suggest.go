package api

// SuggestSchema names the shape of [Suggest].
const SuggestSchema = "stoker.suggest/v1"

// Suggest answers `stoker suggest`.
type Suggest struct {
	Schema      string              `json:"schema"`
	Definitions []SuggestDefinition `json:"definitions"`
	// Note says why there is no history, or less than there could be.
	Note string `json:"note,omitempty"`
	// Changes are the changes to files that all suggestions make together, if the
	// request has Together. They are not printed.
	Changes []FileChange `json:"changes,omitempty"`
}

// SuggestDefinition lists the suggestions for one definition, best first.
type SuggestDefinition struct {
	Name        string       `json:"name"`
	Suggestions []Suggestion `json:"suggestions"`
	// Withdrawn are suggestions that would change the image, as verification found.
	Withdrawn []Suggestion `json:"withdrawn,omitempty"`
	// Content says why there is nothing to suggest, if there is not.
	Content string `json:"content,omitempty"`
	Problem string `json:"problem,omitempty"`
	Hint    string `json:"hint,omitempty"`
}

// Suggestion is a proposed change with its evidence.
type Suggestion struct {
	Rule     string `json:"rule"`
	Title    string `json:"title"`
	File     string `json:"file"`  // relative to the repository; the Dockerfile or its ignore file
	Lines    [2]int `json:"lines"` // first and last line that it is about
	Evidence string `json:"evidence"`
	// Obstacle says why advice is not applied.
	Obstacle string `json:"obstacle,omitempty"`
	// SavesSeconds is per build, from a replay of this repository's history.
	SavesSeconds        float64 `json:"savesSeconds"`
	SavesSecondsPerWeek float64 `json:"savesSecondsPerWeek"` // at this repository's rate of commits
	// SavesBytes is 0 if nothing is saved, or if that is unknown. BytesOf says of what
	// they are: image, or transfer for what a build sends to the builder.
	SavesBytes int64       `json:"savesBytes"`
	BytesOf    string      `json:"bytesOf,omitempty"`
	HitRate    BeforeAfter `json:"hitRate"`
	Costs      string      `json:"costs"` // source of seconds and bytes: CostsObserved or CostsPrior; empty if there are none
	Proof      string      `json:"proof"` // verified, by-construction or advice
	// Provable says of advice that it shall leave the image as it is, which a build can prove:
	// verified, it may be applied.
	Provable bool `json:"provable,omitempty"`
	// Diff is a unified diff for `git apply`. That of advice is only shown.
	Diff         string        `json:"diff,omitempty"`
	URL          string        `json:"url,omitempty"`          // explains the rule, if it is one of BuildKit's
	Verification *Verification `json:"verification,omitempty"` // result of --verify
	// Changes are the whole texts of the files, if the request has Changes. They are
	// not printed.
	Changes []FileChange `json:"changes,omitempty"`
}

// BeforeAfter is the hit rate, 0..1, of a file as it is and as proposed.
type BeforeAfter struct {
	Before float64 `json:"before"`
	After  float64 `json:"after"`
}
