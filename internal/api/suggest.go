package api

// SuggestSchema names the shape of [Suggest].
const SuggestSchema = "stoker.suggest/v1"

// Suggest answers `stoker suggest`.
type Suggest struct {
	Schema      string              `json:"schema"`
	Definitions []SuggestDefinition `json:"definitions"`
	// Note says why there is no history, or less than there could be.
	Note string `json:"note,omitempty"`
	// Changes are what suggestions that were made upon each other make of each
	// file, where that was asked for. They are not printed.
	Changes []FileChange `json:"changes,omitempty"`
}

// SuggestDefinition lists the suggestions for one definition, best first.
type SuggestDefinition struct {
	Name        string       `json:"name"`
	Suggestions []Suggestion `json:"suggestions"`
	// Withdrawn are suggestions with which the image would be another one, as
	// verification found.
	Withdrawn []Suggestion `json:"withdrawn,omitempty"`
	// Content says, where there is nothing to suggest, why that is so.
	Content string `json:"content,omitempty"`
	Problem string `json:"problem,omitempty"`
	Hint    string `json:"hint,omitempty"`
}

// Suggestion is a proposed change with its evidence.
type Suggestion struct {
	Rule     string `json:"rule"`
	Title    string `json:"title"`
	File     string `json:"file"`  // relative to the repository; the Dockerfile or its ignore file
	Lines    [2]int `json:"lines"` // first and last line concerned
	Evidence string `json:"evidence"`
	// Obstacle says, for advice, why it is not applied.
	Obstacle string `json:"obstacle,omitempty"`
	// SavesSeconds is per build, from this repository's history; of advice it is what
	// the change would save.
	SavesSeconds float64 `json:"savesSeconds"`
	// SavesSecondsPerWeek is the same at this repository's rate of commits.
	SavesSecondsPerWeek float64 `json:"savesSecondsPerWeek"`
	// SavesBytes are those of BytesOf; 0 for none, or where that cannot be told.
	SavesBytes int64 `json:"savesBytes"`
	// BytesOf is image, or transfer: what a build sends to the builder.
	BytesOf string      `json:"bytesOf,omitempty"`
	HitRate BeforeAfter `json:"hitRate"`
	// Costs says where seconds and bytes come from: observed or prior; empty where none are given.
	Costs string `json:"costs"`
	Proof string `json:"proof"` // verified, by-construction or advice
	// Diff is unified, as `git apply` takes it; that of advice is only shown.
	Diff string `json:"diff,omitempty"`
	// URL is a page that explains the rule, for rules of BuildKit's own.
	URL string `json:"url,omitempty"`
	// Verification is what --verify found.
	Verification *Verification `json:"verification,omitempty"`
	// Changes are the files' whole texts, where they were asked for. They are not
	// printed.
	Changes []FileChange `json:"changes,omitempty"`
}

// BeforeAfter is a hit rate, 0..1, of the file as it is and as proposed.
type BeforeAfter struct {
	Before float64 `json:"before"`
	After  float64 `json:"after"`
}
