package dockerfile

import "fmt"

// MainContext is the name under which a [Request] asks for files of the build
// context itself; named contexts go by their own names.
const MainContext = "context"

// A Plan is what a build of one definition consists of, as BuildKit's own
// frontend converts it.
type Plan struct {
	// Requests are what the builder asks the client for: one per local context
	// and platform, none for a build that uses no local files.
	Requests []Request
	// Steps are the steps of the stages that the target needs, in the order
	// of the Dockerfile.
	Steps []Step
	// Ops are the operations that the builder looks up in its cache, inputs
	// before what needs them, and Results those that the build gives: one per
	// platform, none for an empty image.
	Ops     []Op
	Results []int // indexes into Ops
	// Configs are digests of what the images that the build gives are run with (ENV,
	// CMD, LABEL and the like): one per platform. Two plans with the same ones make
	// images that differ in their files, if at all, and in their history.
	Configs []string
	// Bases are the images that the steps start from.
	Bases []Base
	// Syntax is the external frontend that the Dockerfile names (`# syntax=`);
	// the plan then is this version's reading of the file, which that frontend
	// may not share. Empty without one, and for the newest docker/dockerfile.
	Syntax string
	// External reports whether a frontend image reads the Dockerfile. To such a
	// one an ignore file of the Dockerfile's own that is empty is none.
	External bool
	// Assumed lists images whose configuration was not known; ONBUILD, ENV,
	// WORKDIR and USER of theirs are taken to be empty.
	Assumed []string
	// Remembered lists images that were looked up in the past: their ENV is
	// taken to be empty, and what else is known of them may be old.
	Remembered []string
	// Warnings are BuildKit's own checks of the Dockerfile.
	Warnings []Warning
	// Text is the Dockerfile that was read. It may hold values of the environment
	// (Input.Shown), and stays in memory.
	Text []byte
}

// A Request is one local source of the build: BuildKit narrows it to the paths
// that the steps use and leaves out what the ignore file excludes.
type Request struct {
	// Local is MainContext or the name of a named context.
	Local string
	// FollowPaths are the paths asked for, relative to the local's root; nil
	// asks for everything. They may hold wildcards, and links are followed.
	FollowPaths []string
	// Excludes are the patterns of the ignore file, in order.
	Excludes []string
}

// A Step is one instruction that BuildKit can execute: RUN, COPY, ADD or
// WORKDIR.
type Step struct {
	// Name has the form of BuildKit's vertex name, "[build 3/7] COPY . .", with
	// the instruction unexpanded, as the Dockerfile writes it.
	Name        string
	Stage       string // name of the stage; "" in a file with one unnamed stage
	Platform    string // only where several platforms were asked for
	Index       int    // position in the stage, counting from 1, which is FROM
	Total       int    // steps of the stage, FROM included
	Keyword     string // RUN, COPY, ADD or WORKDIR
	Instruction string // as the Dockerfile writes it, continuation lines joined
	Lines       Lines  // in the Dockerfile; of FROM for an ONBUILD trigger
	OnBuild     bool   // comes from the base image
	// Takes is what the step reads of local contexts.
	Takes []Take
	// Final reports whether the step is part of the image itself rather than
	// of a stage that is thrown away.
	Final bool
	// Digest identifies the step's operation within this plan. It is no key:
	// it differs where BuildKit hits.
	Digest string
	// Definition identifies what the step does apart from what it does it to:
	// it stays the same if only what stands above the step changes.
	Definition string
	// Parents are the indexes into Plan.Steps of the steps that this one needs
	// directly.
	Parents []int
	// Base is the index of the step whose result this one extends, -1 for the
	// first on its base image.
	Base int
	// From is what the step copies or mounts of other stages.
	From []StageTake
}

// A StageTake is what a step takes of another stage.
type StageTake struct {
	Step  int    // index of the last step of what is taken from
	Path  string // absolute; may hold wildcards in a COPY
	Dest  string
	Mount bool // read while the step runs; does not stay
}

// A Take is a set of local files that a step reads.
type Take struct {
	Local string // MainContext or the name of a named context
	// Path is relative to the local's root, "." for all of it.
	Path string
	// Dest is where in the stage the files land; for a mount, where it appears
	// while the step runs.
	Dest string
	// Wildcard reports whether Path may hold wildcards.
	Wildcard bool
	// Include (COPY --parents) and Exclude (--exclude) narrow what of Path is
	// taken, not what is sent.
	Include, Exclude []string
	// Mount reports a bind mount: the files are read but do not stay.
	Mount bool
}

// A Base is an image that a stage or a COPY --from starts from.
type Base struct {
	Ref      string // as the build resolves it, with digest where known
	Platform string
	Line     int
}

// A Warning is a finding of BuildKit's own Dockerfile checks.
type Warning struct {
	Rule    string // BuildKit's name of the check: StageNameCasing
	Message string // begins with the rule, and ends with the line
	Line    int
	URL     string
}

// Lines is a range of lines in a file, counting from 1, both ends included.
type Lines struct{ From, To int }

// String formats l as an editor would take it: "7" or "7-9".
func (l Lines) String() string {
	if l.From == l.To {
		return fmt.Sprint(l.From)
	}
	return fmt.Sprintf("%d-%d", l.From, l.To)
}

// An Error is something that BuildKit would refuse, with its place.
type Error struct {
	File string // as it should be shown
	Line int    // 0 if unknown
	Err  error
	Hint string // what to do about it; may be empty
}

func (e *Error) Error() string {
	if e.Line > 0 {
		return fmt.Sprintf("%s:%d: %v", e.File, e.Line, e.Err)
	}
	return fmt.Sprintf("%s: %v", e.File, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }
