package dockerfile

import "fmt"

// MainContext is the [Request.Local] of the build context itself. That of a named context
// is its name.
const MainContext = "context"

// A Plan has the steps and operations of a build of one definition, as BuildKit's frontend
// converts it, and the local files that they need. It is not changed after [Convert] has
// returned it.
type Plan struct {
	// Requests are the files that the builder asks the client for: one Request for
	// each local context and platform, none if the build uses no local files.
	Requests []Request
	// Steps are the steps of the stages that the target needs, in the order
	// of the Dockerfile.
	Steps []Step
	// Ops are the operations that the builder looks up in its cache, each after its
	// inputs. Results are those whose results are the images: one per platform, none
	// for an image without files.
	Ops     []Op
	Results []int // indexes into Ops
	// Configs are digests of the configurations (ENV, CMD, LABEL and so on) of the
	// images, one per platform. Images of two plans with equal Configs differ at most
	// in their files and their history.
	Configs []string
	// Bases are the images on which stages are based, and those from which steps copy.
	Bases []Base
	// Syntax is the external frontend that the Dockerfile names (`# syntax=`), which
	// may read the file in another way than this version of BuildKit does. Empty
	// without one, and for the newest docker/dockerfile.
	Syntax string
	// External reports whether a frontend image reads the Dockerfile. Such a frontend
	// ignores an empty <name>.dockerignore and reads .dockerignore instead.
	External bool
	// Assumed lists images whose configuration was not known. Their ONBUILD, ENV,
	// WORKDIR and USER are assumed to be empty.
	Assumed []string
	// Remembered lists images whose configuration is from an earlier look-up. It may
	// be out of date, and their ENV is assumed to be empty.
	Remembered []string
	// Warnings are the findings of BuildKit's checks of the Dockerfile.
	Warnings []Warning
	// Text is the Dockerfile that was read. It may hold values of environment
	// variables (Input.Shown) and must stay in memory.
	Text []byte
}

// A Request asks for files of one local context: those at the paths that steps use, without
// those that the ignore file excludes.
type Request struct {
	// Local is MainContext or the name of a named context.
	Local string
	// FollowPaths are the paths asked for, relative to the context's root; nil asks
	// for everything. They may have wildcards. Symbolic links are followed.
	FollowPaths []string
	// Excludes are the patterns of the ignore file, in order.
	Excludes []string
}

// A Step is one instruction that BuildKit executes: RUN, COPY, ADD or WORKDIR.
type Step struct {
	// Name is BuildKit's name of the vertex, such as "[build 3/7] COPY . .", but with
	// the instruction as the Dockerfile writes it, without values of variables.
	Name        string
	Stage       string // name of the stage; "" in a file with one unnamed stage
	Platform    string // only where several platforms were asked for
	Index       int    // position in the stage, counting from 1, which is FROM
	Total       int    // steps of the stage, FROM included
	Keyword     string // RUN, COPY, ADD or WORKDIR
	Instruction string // as the Dockerfile writes it, continuation lines joined
	Lines       Lines  // in the Dockerfile; of FROM for an ONBUILD trigger
	OnBuild     bool   // an ONBUILD trigger of the base image
	// Takes are the files of local contexts that the step reads.
	Takes []Take
	// Final reports whether the step's files are in the image, rather than in a stage
	// from which the image at most copies.
	Final bool
	// Digest identifies the step's operation within this plan. It is no cache key:
	// BuildKit can find the same result under another digest.
	Digest string
	// Definition identifies what the step does, but not with which files: it stays
	// the same if only what stands above the step changes.
	Definition string
	// Parents are the indexes into Plan.Steps of the steps whose results this one
	// needs directly.
	Parents []int
	// Base is the index of the step on whose files this one builds, -1 for the first
	// on its base image.
	Base int
	// From are the files of other stages that the step copies or mounts.
	From []StageTake
}

// A StageTake is a set of files that a step reads from another stage.
type StageTake struct {
	Step  int    // index of that stage's last step
	Path  string // absolute; that of a COPY may have wildcards
	Dest  string // as Take.Dest
	Mount bool   // as Take.Mount
}

// A Take is a set of local files that a step reads.
type Take struct {
	Local string // MainContext or the name of a named context
	// Path is relative to the context's root, "." for all of it.
	Path string
	// Dest is the path in the stage to which the files are copied, or at which they
	// are mounted.
	Dest string
	// Wildcard reports whether Path may have wildcards.
	Wildcard bool
	// Include (COPY --parents) and Exclude (--exclude) narrow which files below Path
	// the step reads. All of Path is sent nevertheless.
	Include, Exclude []string
	// Mount reports a bind mount, whose files are in the stage only while the step
	// runs.
	Mount bool
}

// A Base is an image on which a stage is based, or from which a step copies.
type Base struct {
	Ref      string // as the build resolves it, with its digest if that is known
	Platform string
	Line     int
}

// A Warning is a finding of BuildKit's checks of Dockerfiles.
type Warning struct {
	Rule    string // BuildKit's name of the check, such as StageNameCasing
	Message string // begins with the rule and ends with the line
	Line    int
	URL     string // of the rule's documentation
}

// Lines is a range of lines in a file, counted from 1, both ends included.
type Lines struct{ From, To int }

// String returns "7" for a single line, else "7-9".
func (l Lines) String() string {
	if l.From == l.To {
		return fmt.Sprint(l.From)
	}
	return fmt.Sprintf("%d-%d", l.From, l.To)
}

// An Error says where a Dockerfile has something that BuildKit would refuse, and what.
type Error struct {
	File string // as it is shown to the user
	Line int    // 0 if unknown
	Err  error
	Hint string // what the user can do about it; may be empty
}

func (e *Error) Error() string {
	if e.Line > 0 {
		return fmt.Sprintf("%s:%d: %v", e.File, e.Line, e.Err)
	}
	return fmt.Sprintf("%s: %v", e.File, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }
