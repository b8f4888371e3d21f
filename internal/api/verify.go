package api

// VerifyRequest asks whether the images stay the same with each of some changes.
// Typed by the user, it is leave to run the steps for this run. It travels over
// the user's own socket only, and is neither stored nor logged: it holds secrets.
type VerifyRequest struct {
	Query
	Candidates [][]FileChange `json:"candidates"` // each is verified alone
	// IfAllowed asks only where the repository's owner has consented: it is not
	// leave.
	IfAllowed bool                `json:"ifAllowed,omitempty"`
	Secrets   map[string][]byte   `json:"secrets,omitempty"` // by id
	SSH       map[string][]string `json:"ssh,omitempty"`     // by id: an agent's socket, or key files
}

// FileChange is what a suggestion makes of one file.
type FileChange struct {
	Path string `json:"path"` // relative to the repository
	Old  []byte `json:"old"`  // null for a file that is not there
	New  []byte `json:"new"`
}

// The states of a [VerifyEvent].
const (
	VerifyPlan  = "plan"  // Message says what will run where
	VerifyBuild = "build" // Definition is being built; Message says which version
	VerifyDone  = "done"  // Verification is that of Candidate
)

// VerifyEvent is one line of progress of a verification.
type VerifyEvent struct {
	State        string        `json:"state"`
	Definition   string        `json:"definition,omitempty"`
	Message      string        `json:"message,omitempty"`
	Candidate    int           `json:"candidate"`
	Verification *Verification `json:"verification,omitempty"`
}

// The outcomes of a [Verification].
const (
	VerifiedEqual   = "equal"
	VerifiedDiffers = "differs"
	VerifiedFailed  = "failed" // nothing could be shown: see Message
)

// Verification is what came of building both versions and comparing the images.
type Verification struct {
	Outcome string   `json:"outcome"` // equal, differs or failed
	Builds  []string `json:"builds"`  // the definitions that were built
	// Skipped are definitions of the file that could not be built, with the
	// reason: the proof does not hold for them.
	Skipped []string `json:"skipped,omitempty"`
	Images  int      `json:"images"`
	Files   int      `json:"files"` // that were compared, in all images
	Seconds float64  `json:"seconds"`
	// Differing counts the differences; Differences are the first thousand.
	Differing   int               `json:"differing"`
	Differences []ImageDifference `json:"differences,omitempty"`
	// NotCovered counts what differs between two builds of the original and so was
	// not compared; Varying are the first thousand.
	NotCovered int               `json:"notCovered"`
	Varying    []ImageDifference `json:"varying,omitempty"`
	// Edited are the copies in the image of the files that the change is about.
	Edited  []ImageDifference `json:"edited,omitempty"`
	Message string            `json:"message,omitempty"`
	Hint    string            `json:"hint,omitempty"`
}

// ImageDifference is one thing in which two images differ.
type ImageDifference struct {
	Definition string `json:"definition"`
	Platform   string `json:"platform,omitempty"` // where a build makes several images
	Path       string `json:"path,omitempty"`     // in the image; absent for its configuration
	PathBytes  []byte `json:"pathBytes,omitempty"`
	// What is one of added, removed, type, mode, owner, link-target, hard-link,
	// xattr, device, content, name, config, platform, edited.
	What   string `json:"what"`
	Detail string `json:"detail,omitempty"` // how it differs, without content or values
}
