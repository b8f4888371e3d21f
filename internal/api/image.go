package api

import "time"

// ImageSchema names the shape of [Image].
const ImageSchema = "stoker.image/v1"

// Image answers `stoker image`: what is in an image, and how much of it is waste.
type Image struct {
	Schema    string     `json:"schema"`
	Name      string     `json:"name"` // as in the request
	From      string     `json:"from"` // where it was found
	Digest    string     `json:"digest,omitempty"`
	ID        string     `json:"id"` // digest of its configuration
	Platform  string     `json:"platform"`
	Platforms []string   `json:"platforms"` // all in its index
	Created   *time.Time `json:"created,omitempty"`
	System    string     `json:"system,omitempty"` // the distribution, as its os-release names it
	Stored    int64      `json:"stored"`           // bytes of the layers as they are stored and transferred
	Unpacked  int64      `json:"unpacked"`         // bytes of all files in the layers
	Visible   int64      `json:"visible"`          // bytes of the files that a container sees
	Files     int        `json:"files"`            // number of those
	Hidden    int64      `json:"hidden"`           // bytes of files that no container sees
	// Efficiency, WastedBytes and UserWastedPercent are computed as dive does.
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

// ImageBase is the image on which an image is based, as far as that is known.
type ImageBase struct {
	Name      string `json:"name,omitempty"`
	Digest    string `json:"digest,omitempty"`
	Layers    int    `json:"layers"`              // how many layers come from it, the first ones; 0 if unknown
	How       string `json:"how,omitempty"`       // what tells: layers, annotations or history
	Different bool   `json:"different,omitempty"` // the image given with --base is not the base
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
	Hidden      int64      `json:"hidden"` // bytes of its files that later entries replace or delete
	Hides       int64      `json:"hides"`  // bytes of files, here and in the layers below, that its entries replace or delete
	Instruction string     `json:"instruction,omitempty"`
	Created     *time.Time `json:"created,omitempty"`
	Base        bool       `json:"base,omitempty"` // it comes from the base image
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

// ImageLoss is what one entry of a layer hides.
type ImageLoss struct {
	Path      string `json:"path"`
	PathBytes []byte `json:"pathBytes,omitempty"`
	Bytes     int64  `json:"bytes"`
	Files     int    `json:"files"`
	How       string `json:"how"`    // overwritten, deleted, or covered by an opaque directory
	By        int    `json:"by"`     // number of the layer with the entry
	Layers    []int  `json:"layers"` // numbers of the layers with the hidden files
}

// ImageLeftover is what a package manager or a build left behind.
type ImageLeftover struct {
	Kind      string `json:"kind"`
	Path      string `json:"path"`
	PathBytes []byte `json:"pathBytes,omitempty"`
	Bytes     int64  `json:"bytes"`
	Files     int    `json:"files"`
	Layers    []int  `json:"layers"`
	Base      bool   `json:"base,omitempty"` // all of it comes from the base image
	Advice    string `json:"advice"`
}

// ImageSecret is a secret that was found, without its value.
type ImageSecret struct {
	Rule      string `json:"rule"`
	Where     string `json:"where"` // file, env, history, config
	Path      string `json:"path,omitempty"`
	PathBytes []byte `json:"pathBytes,omitempty"`
	Line      int    `json:"line,omitempty"`
	Name      string `json:"name,omitempty"`   // of a variable or a label
	Layer     int    `json:"layer,omitempty"`  // number of the layer that has it
	GoneBy    int    `json:"goneBy,omitempty"` // number of the layer that hides it, which does not remove it
	Severity  string `json:"severity"`
	Message   string `json:"message"`
	Base      bool   `json:"base,omitempty"` // it comes from the base image
}

// ImageTree is the content of one layer.
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
	Left      int    `json:"left,omitempty"` // number of its entries that are not listed because of the limit
}

// ImageGates says whether the image meets the limits that were given.
type ImageGates struct {
	OK    bool        `json:"ok"`
	File  string      `json:"file,omitempty"` // with dive's limits, if one was read
	Rules []ImageRule `json:"rules"`
}

// ImageSignature says whether the image is signed as the request demands.
type ImageSignature struct {
	OK      bool   `json:"ok"`
	By      string `json:"by"`                // the key or, with Issuer, the identity
	Issuer  string `json:"issuer,omitempty"`  // of the certificate of the identity
	Problem string `json:"problem,omitempty"` // cosign's message, if not OK
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
	Shared  Size                `json:"shared"` // layers with equal content: their number, and unpacked size
	Added   Size                `json:"added"`
	Removed Size                `json:"removed"`
	Changed Size                `json:"changed"`        // its bytes are how much larger the files became
	Files   []ImageFileChange   `json:"files"`          // the largest first
	Left    int                 `json:"left,omitempty"` // number of files that are not listed because of the limit
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
	A         int64    `json:"a"` // size in image A
	B         int64    `json:"b"` // size in image B
}

// ImageConfigChange is a field of the configuration that differs.
type ImageConfigChange struct {
	Field string `json:"field"`
	Name  string `json:"name,omitempty"`
	A     string `json:"a,omitempty"` // for the field env "set" in place of the value
	B     string `json:"b,omitempty"` // for the field env "set" or "changed"
}
