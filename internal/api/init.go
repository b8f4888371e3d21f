package api

// InitSchema names the shape of [Init].
const InitSchema = "stoker.init/v1"

// Init answers `stoker init`: the apps that were found, and the files for them.
type Init struct {
	Schema string    `json:"schema"`
	DryRun bool      `json:"dryRun"`
	Apps   []InitApp `json:"apps"`
}

// InitApp is an app with its files. All paths are relative to the repository.
type InitApp struct {
	Name      string         `json:"name"`
	Dir       string         `json:"dir"`     // "." is the root
	Context   string         `json:"context"` // the build context
	Language  string         `json:"language"`
	Version   string         `json:"version"` // of the language
	Tool      string         `json:"tool"`    // the package manager
	Framework string         `json:"framework,omitempty"`
	Base      string         `json:"base"` // slim, alpine, distroless or scratch
	Entry     string         `json:"entry"`
	Port      int            `json:"port,omitempty"`
	Health    string         `json:"health,omitempty"` // path of the health check
	Evidence  []InitEvidence `json:"evidence"`
	Files     []InitFile     `json:"files"`
	Hints     []string       `json:"hints,omitempty"`
}

// InitEvidence is what one conclusion is based on.
type InitEvidence struct {
	Path string `json:"path,omitempty"` // the file that says it; absent if none does
	Says string `json:"says"`
}

// InitFile is a Dockerfile or an ignore file.
type InitFile struct {
	Path string `json:"path"`
	Text string `json:"text"`
}
