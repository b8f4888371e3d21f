package api

// VerifyRequest asks whether the images stay the same with each of some changes. Unless
// IfAllowed is set, it comes from a command that the user typed for that purpose, which
// is consent to run the steps this once. It is only sent over the user's own socket, and
// is neither stored nor logged, since it has secrets.
type VerifyRequest struct {
	Query
	Candidates [][]FileChange      `json:"candidates"`          // each is verified by itself
	IfAllowed  bool                `json:"ifAllowed,omitempty"` // only if the repository's owner has consented
	Secrets    map[string][]byte   `json:"secrets,omitempty"`   // by id
	SSH        map[string][]string `json:"ssh,omitempty"`       // by id: an agent's socket, or key files
}

// FileChange is a change of one file.
type FileChange struct {
	Path string `json:"path"` // relative to the repository
	Old  []byte `json:"old"`  // null for a file that does not exist
	New  []byte `json:"new"`
}

// The states of a [VerifyEvent].
const (
	VerifyPlan  = "plan"  // Message says what will run where
	VerifyBuild = "build" // Definition is being built; Message says which version
	VerifyDone  = "done"  // Verification is the result for Candidate
)

// VerifyEvent reports progress of a verification.
type VerifyEvent struct {
	State        string        `json:"state"`
	Definition   string        `json:"definition,omitempty"`
	Message      string        `json:"message,omitempty"`
	Candidate    int           `json:"candidate"` // index into the request's Candidates
	Verification *Verification `json:"verification,omitempty"`
}

// The outcomes of a [Verification].
const (
	VerifiedEqual   = "equal"
	VerifiedDiffers = "differs"
	VerifiedFailed  = "failed" // it could not be done: see Message
)

// Verification is the result of building both versions and comparing the images.
type Verification struct {
	Outcome string   `json:"outcome"` // VerifiedEqual, VerifiedDiffers or VerifiedFailed
	Builds  []string `json:"builds"`  // the definitions that were built
	// Skipped are definitions of the file that could not be built, with the reason. For
	// these the result does not hold.
	Skipped []string `json:"skipped,omitempty"`
	Images  int      `json:"images"` // number of images that were compared
	Files   int      `json:"files"`  // number of files in all of them
	Seconds float64  `json:"seconds"`
	// Differing is the number of differences; Differences are the first thousand.
	Differing   int               `json:"differing"`
	Differences []ImageDifference `json:"differences,omitempty"`
	// NotCovered is the number of things that differ between two builds of the original,
	// and were therefore not compared; Varying are the first thousand.
	NotCovered int               `json:"notCovered"`
	Varying    []ImageDifference `json:"varying,omitempty"`
	// Edited are copies in the image of the files that the change edits.
	Edited  []ImageDifference `json:"edited,omitempty"`
	Message string            `json:"message,omitempty"`
	Hint    string            `json:"hint,omitempty"`
}

// ImageDifference is one difference between two images.
type ImageDifference struct {
	Definition string `json:"definition"`
	Platform   string `json:"platform,omitempty"` // if a build makes several images
	Path       string `json:"path,omitempty"`     // in the image; absent for a difference in the configuration
	PathBytes  []byte `json:"pathBytes,omitempty"`
	// What is one of added, removed, type, mode, owner, link-target, hard-link,
	// xattr, device, content, name, config, platform, edited.
	What   string `json:"what"`
	Detail string `json:"detail,omitempty"` // how it differs, without content or values
}
