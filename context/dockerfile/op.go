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

// A Selector is a set of files of an input (BuildKit: solver/llbsolver/ops/opsutils,
// Selector).
type Selector struct {
	Path        string // absolute
	Wildcard    bool   // Path holds wildcards
	FollowLinks bool   // a link that Path names stands for what it leads to
	// Include and Exclude are the patterns of COPY --parents and --exclude.
	// Something must lie at each of Required.
	Include, Exclude, Required []string
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
	// Gave is, of a download in a [Recording], the digest of what it gave, or the commit;
	// "" if that is not known. An address can give the same under another key.
	Gave string
	// Layers stands in for Op.Digest as a second key of an image on builders
	// older than BuildKit v0.34: there an image whose layers did not change is
	// the same (BuildKit v0.33: source/containerimage, cacheKeyFromConfig).
	// Empty if the layers are not known. As an image's Digest, it holds no
	// values.
	Layers string
}

// RecordOf returns what stands for an entry of the list of what a builder holds
// (see Op.Record), given its description.
//
// An entry that was imported with an image is described as the image's history has it: as
// the step, if it is a WORKDIR, but for the place. Nothing tells that it is the step's.
func RecordOf(description string) string {
	if prefix := stepPrefix.FindString(description); prefix != "" {
		description = description[len(prefix):]
	} else if fromHistory.MatchString(description) {
		description = "imported: " + description
	}
	return digest.FromString(description).String()
}
