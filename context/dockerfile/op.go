package dockerfile

import digest "github.com/opencontainers/go-digest"

// An Op is one result of an operation, as BuildKit's solver keeps it in its cache
// (BuildKit: solver, Edge and CacheMap). A step is made of one Op or, as with
// COPY --link, of several; sources and what the frontend adds belong to none.
//
// Equal operations of several stages or platforms are one Op. Different ones may
// still come to have the same key, as two COPY of equal files do.
type Op struct {
	// Digest stands for the operation itself, without its inputs. It is empty
	// for a source of which it is not known what it would give.
	//
	// It is a plain hash over args, env variables and the command: it must stay
	// in memory, since short values can be found by trying.
	Digest string
	// Output is which of the operation's results this is.
	Output int
	// Inputs are what it works on, in BuildKit's order.
	Inputs []OpInput
	// Source is set for what has no inputs: files, images, downloads.
	Source *Source
	// Steps are the indexes into Plan.Steps of the steps it is part of: none,
	// one, or one per platform that shares it.
	Steps []int
	// Record stands for the text under which the builder lists the result among
	// what it holds, "" where that is not known: for a RUN its command, else the
	// step's name without its number (BuildKit: solver/llbsolver/ops, Exec). A
	// plain hash over values, which stays in memory.
	Record string
	// Called stands for the name that the builder shows, as Record does: that of the
	// step without its number, with values put in; "" for what has none.
	Called string
	// Traits are what Digest is made of.
	Traits []Trait
	// IgnoreCache is set where the build was told not to look into the cache.
	// The result is kept all the same.
	IgnoreCache bool

	form form // see MayGoBy
}

// An OpInput is one input of an Op.
type OpInput struct {
	// Op is the index into Plan.Ops, less than that of the Op itself.
	Op int
	// Selector goes with the input's key where the Op takes only a part of it;
	// empty otherwise. A plain hash over paths.
	Selector string
	// Content says by which files of the input the Op is keyed too; nil where
	// only the input's own key counts. Their digests are joined in this order
	// (BuildKit: solver/llbsolver/ops/opsutils, NewContentHashFunc).
	Content []Selector
	// Digest is that of what Content selects, where the Dockerfile alone says it: of
	// the text of a heredoc. Empty otherwise. A plain hash, which stays in memory.
	Digest string
}

// A Selector selects files of an input (BuildKit: solver/llbsolver/ops/opsutils,
// Selector).
type Selector struct {
	Path        string // absolute
	Wildcard    bool   // Path contains wildcards
	FollowLinks bool   // if Path is a link, its target is selected
	// Include and Exclude are the patterns of COPY --parents and --exclude.
	Include, Exclude []string
	// Required are paths that must exist.
	Required []string
}

// A SourceKind says where a source comes from: the scheme of its address.
type SourceKind string

// The kinds of sources that a Dockerfile can have.
const (
	LocalSource SourceKind = "local"        // files of the client
	ImageSource SourceKind = "docker-image" // an image of a registry
	OCISource   SourceKind = "oci-layout"   // an image of a directory of the client
	HTTPSource  SourceKind = "http"         // http and https
	GitSource   SourceKind = "git"
	BuildSource SourceKind = "target" // the result of a linked build, which has a plan of its own
)

// A Source is where an Op without inputs takes its result from.
//
// BuildKit keys local files for one build only, so that what reads them is
// found by their content alone. Other sources are found by Op.Digest: an image by
// the digest of its manifest, a download by the checksum or commit that the
// Dockerfile gives. Where that is not known, Op.Digest is empty, as it always is
// for a linked build.
type Source struct {
	Kind SourceKind
	// Name is that of the local context or of the linked build, or the image's
	// reference with its digest if that is known. Addresses of downloads are left
	// out: they may hold credentials.
	Name string
	// Platform is that of an image: "linux/arm64/v8".
	Platform string
	// Request is the index into Plan.Requests of what is asked for of a local
	// context; -1 for other kinds.
	Request int
	// Gave is set for a download in a [Recording]: the digest of the file, or the
	// commit; "" if unknown. The same content can have several keys.
	Gave string
	// Layers is a second key of an image, beside Op.Digest, on builders older than
	// BuildKit v0.34: they take an image for the same if its layers are (BuildKit
	// v0.33: source/containerimage, cacheKeyFromConfig). It is "" if the layers are
	// unknown. As the Op.Digest of an image, it contains no values.
	Layers string
}

// RecordOf returns the hash by which an entry of a builder's cache is recognised (see
// Op.Record), given the entry's description.
//
// An entry that came with an image has a description from the image's history. For a
// WORKDIR that is the same as the name of a step without its number, though the entry
// need not be of that step; so such descriptions get a hash of their own.
func RecordOf(description string) string {
	if prefix := stepPrefix.FindString(description); prefix != "" {
		description = description[len(prefix):]
	} else if fromHistory.MatchString(description) {
		description = "imported: " + description
	}
	return digest.FromString(description).String()
}
