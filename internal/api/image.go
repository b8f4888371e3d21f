package api

import "time"

// ImageSchema names the shape of [Image].
const ImageSchema = "stoker.image/v1"

// Image answers `stoker image`: what an image holds, and what of it is waste.
type Image struct {
	Schema    string     `json:"schema"`
	Name      string     `json:"name"` // as it was asked for
	From      string     `json:"from"` // where it was found
	Digest    string     `json:"digest,omitempty"`
	ID        string     `json:"id"` // digest of its configuration
	Platform  string     `json:"platform"`
	Platforms []string   `json:"platforms"` // all that its index has
	Created   *time.Time `json:"created,omitempty"`
	System    string     `json:"system,omitempty"`
	// Stored are the layers as they are kept and moved, Unpacked all their
	// files, Visible and Files what a container sees, Hidden what none sees.
	Stored   int64 `json:"stored"`
	Unpacked int64 `json:"unpacked"`
	Visible  int64 `json:"visible"`
	Files    int   `json:"files"`
	Hidden   int64 `json:"hidden"`
	// Efficiency, WastedBytes and UserWastedPercent are dive's.
	Efficiency        float64         `json:"efficiency"`
	WastedBytes       int64           `json:"wastedBytes"`
	UserWastedPercent float64         `json:"userWastedPercent"`
	Base              *ImageBase      `json:"base,omitempty"`
	Config            ImageConfig     `json:"config"`
	Layers            []ImageLayer    `json:"layers"`
	Losses            []ImageLoss     `json:"losses"`
	LossCount         int             `json:"lossCount"`
	Biggest           []ImageFile     `json:"biggest"`
	SetID             []ImageFile     `json:"setId"`
	Leftovers         []ImageLeftover `json:"leftovers"`
	Secrets           []ImageSecret   `json:"secrets"`
	Tree              *ImageTree      `json:"tree,omitempty"`
	Gates             *ImageGates     `json:"gates,omitempty"`
	Signature         *ImageSignature `json:"signature,omitempty"`
	Notes             []string        `json:"notes,omitempty"`
}

// ImageBase is the image that it was made from, as far as that can be told.
type ImageBase struct {
	Name   string `json:"name,omitempty"`
	Digest string `json:"digest,omitempty"`
	Layers int    `json:"layers"`        // how many of the first layers are its; 0 if that is not known
	How    string `json:"how,omitempty"` // layers, annotations or history
	// Different is set if the image given with --base is not the base.
	Different bool `json:"different,omitempty"`
}

// ImageConfig is how containers of the image run.
type ImageConfig struct {
	User        string            `json:"user,omitempty"`
	Root        bool              `json:"root"` // containers run as root
	Entrypoint  []string          `json:"entrypoint,omitempty"`
	Cmd         []string          `json:"cmd,omitempty"`
	WorkingDir  string            `json:"workingDir,omitempty"`
	Exposed     []string          `json:"exposed,omitempty"`
	Volumes     []string          `json:"volumes,omitempty"`
	Env         []string          `json:"env,omitempty"` // names only
	Labels      map[string]string `json:"labels,omitempty"`
	StopSignal  string            `json:"stopSignal,omitempty"`
	Healthcheck string            `json:"healthcheck,omitempty"` // the command; "none" if it is switched off
	OnBuild     int               `json:"onBuild,omitempty"`
}

// ImageLayer is one layer; the first is number 1.
type ImageLayer struct {
	Number      int        `json:"number"`
	Digest      string     `json:"digest,omitempty"`
	DiffID      string     `json:"diffId"`
	Compression string     `json:"compression"`
	Stored      int64      `json:"stored"`
	Unpacked    int64      `json:"unpacked"`
	Files       int        `json:"files"`
	Hidden      int64      `json:"hidden"` // of unpacked, what a later entry replaces or deletes
	Hides       int64      `json:"hides"`  // what its own entries replace or delete
	Instruction string     `json:"instruction,omitempty"`
	Created     *time.Time `json:"created,omitempty"`
	Base        bool       `json:"base,omitempty"`
}

// ImageFile is a file that a container sees.
type ImageFile struct {
	Path      string `json:"path"` // relative to the root
	PathBytes []byte `json:"pathBytes,omitempty"`
	Size      int64  `json:"size"`
	Mode      string `json:"mode"` // octal, as chmod takes it
	UID       int    `json:"uid"`
	GID       int    `json:"gid"`
	Layer     int    `json:"layer"`
}

// ImageLoss is what one act of a layer hides.
type ImageLoss struct {
	Path      string `json:"path"`
	PathBytes []byte `json:"pathBytes,omitempty"`
	Bytes     int64  `json:"bytes"`
	Files     int    `json:"files"`
	How       string `json:"how"` // overwritten, deleted, covered
	By        int    `json:"by"`
	Layers    []int  `json:"layers"`
}

// ImageLeftover is what a package manager or a build left behind.
type ImageLeftover struct {
	Kind      string `json:"kind"`
	Path      string `json:"path"`
	PathBytes []byte `json:"pathBytes,omitempty"`
	Bytes     int64  `json:"bytes"`
	Files     int    `json:"files"`
	Layers    []int  `json:"layers"`
	Base      bool   `json:"base,omitempty"` // all of it is the base image's
	Advice    string `json:"advice"`
}

// ImageSecret is a secret; its value is nowhere in it.
type ImageSecret struct {
	Rule      string `json:"rule"`
	Where     string `json:"where"` // file, env, history, config
	Path      string `json:"path,omitempty"`
	PathBytes []byte `json:"pathBytes,omitempty"`
	Line      int    `json:"line,omitempty"`
	Name      string `json:"name,omitempty"`   // of a variable or a label
	Layer     int    `json:"layer,omitempty"`  // that it is in
	GoneBy    int    `json:"goneBy,omitempty"` // the layer that hides it, in vain
	Severity  string `json:"severity"`
	Message   string `json:"message"`
	Base      bool   `json:"base,omitempty"`
}

// ImageTree is what one layer holds.
type ImageTree struct {
	Layer   int             `json:"layer"`
	Entries []ImageTreeNode `json:"entries"` // parents before children, the largest first
}

// ImageTreeNode is a file, or a folder with the sums of what is in it.
type ImageTreeNode struct {
	Path      string `json:"path"`
	PathBytes []byte `json:"pathBytes,omitempty"`
	Type      string `json:"type"`
	Depth     int    `json:"depth"`
	Size      int64  `json:"size"`
	Files     int    `json:"files"`
	Hidden    int64  `json:"hidden"`
	Left      int    `json:"left,omitempty"`
}

// ImageGates is what came of the limits that were given.
type ImageGates struct {
	OK    bool        `json:"ok"`
	File  string      `json:"file,omitempty"` // that dive's limits were read from
	Rules []ImageRule `json:"rules"`
}

// ImageSignature is whether the image is signed by whom it was asked to be.
type ImageSignature struct {
	OK      bool   `json:"ok"`
	By      string `json:"by"`                // a key, or who signed without one
	Issuer  string `json:"issuer,omitempty"`  // of the certificate, where there is no key
	Problem string `json:"problem,omitempty"` // what cosign says where it is not
}

// ImageRule is one limit.
type ImageRule struct {
	Rule   string  `json:"rule"`
	OK     bool    `json:"ok"`
	Limit  float64 `json:"limit"`
	Actual float64 `json:"actual"`
	Bytes  bool    `json:"bytes,omitempty"` // both are sizes
}

// ImageDiffSchema names the shape of [ImageDiff].
const ImageDiffSchema = "stoker.image-diff/v1"

// ImageDiff answers `stoker image diff`.
type ImageDiff struct {
	Schema  string              `json:"schema"`
	A       ImageSide           `json:"a"`
	B       ImageSide           `json:"b"`
	Shared  Size                `json:"shared"` // layers of equal content: how many, and their unpacked size
	Added   Size                `json:"added"`
	Removed Size                `json:"removed"`
	Changed Size                `json:"changed"` // bytes: how much larger they got
	Files   []ImageFileChange   `json:"files"`   // the largest first
	Left    int                 `json:"left,omitempty"`
	Config  []ImageConfigChange `json:"config"`
}

// ImageSide is one of two images.
type ImageSide struct {
	Name     string `json:"name"`
	Digest   string `json:"digest,omitempty"`
	ID       string `json:"id"`
	Platform string `json:"platform"`
	Stored   int64  `json:"stored"`
	Unpacked int64  `json:"unpacked"`
	Visible  int64  `json:"visible"`
	Files    int    `json:"files"`
	Layers   int    `json:"layers"`
}

// ImageFileChange is a path that differs.
type ImageFileChange struct {
	Path      string   `json:"path"`
	PathBytes []byte   `json:"pathBytes,omitempty"`
	Change    string   `json:"change"`         // added, removed, changed
	What      []string `json:"what,omitempty"` // type, content, mode, owner
	Type      string   `json:"type"`
	A         int64    `json:"a"` // sizes
	B         int64    `json:"b"`
}

// ImageConfigChange is a field of the configuration that differs.
type ImageConfigChange struct {
	Field string `json:"field"`
	Name  string `json:"name,omitempty"`
	A     string `json:"a,omitempty"` // of env "set", and never the value
	B     string `json:"b,omitempty"` // of env "set", or "changed"
}
