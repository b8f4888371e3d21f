package cache

import (
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
)

// A Graph is the part of a build that decides what the cache reuses: BuildKit's
// operations and what each takes in. It is immutable.
//
// Digests in it are BuildKit's own, or stand for these one to one. BuildKit's are plain
// hashes over the values of args, among others: they must not leave memory.
type Graph struct {
	// Nodes are sorted so that inputs come before what takes them in.
	Nodes []Node
	// Targets are the nodes whose results the build asks for.
	Targets []int
}

// A Node is one result of one operation (BuildKit: solver.Edge).
type Node struct {
	// Digests are the operation's own (BuildKit: CacheMap.Digest): of what it does,
	// without its inputs. Only a source has more than one, any of which will do. There is
	// none for a local source, whose digest is another one in each build, and none for a
	// source that is Unknown.
	Digests []string
	Output  int // which of the operation's results
	Inputs  []Input
	Steps   []int // indexes of the steps that it is part of
	NoCache bool  // the build was told not to look into the cache for it
	// Doubted reports that the builder may have results of it that nobody observed.
	Doubted bool
	// Bygone are keys of what is made from it, to which keys of it may lead that nobody knows.
	// The builder has no results of the latter: builds that nobody observed made them, and
	// they went.
	Bygone map[KeyID]bool
	// Unknown says why the node's keys cannot be determined, "" if they can.
	Unknown Uncertainty
}

// An Input is what a node takes in.
type Input struct {
	Node     int    // index of the node that it comes from
	Selector string // of links from the keys of that node (BuildKit: CacheMap.Deps)
	// ByContent reports that BuildKit also looks for the node by the content that it
	// takes of the input's result.
	ByContent bool
	// Content is the id of that content (see [Key]) where it is known before the build,
	// as of local files and of a heredoc; "" otherwise.
	Content string
	// Late reports that although Content is known here, the solver has it only once the
	// input's result is there, and then does not always look.
	Late bool
}

// An Uncertainty says why something about a build cannot be known before it.
type Uncertainty string

// The uncertainties.
const (
	// ByStageContent: the step counts by what it takes of another stage, and that stage
	// is not reused as it was.
	ByStageContent Uncertainty = "stage-content"
	// NotObserved: a build ran this operation on files that nobody knows, or the builder
	// has results of it that no observed build made.
	NotObserved Uncertainty = "unobserved"
	// PerhapsGone: nothing tells whether the builder still holds the result.
	PerhapsGone Uncertainty = "liveness"
	// NotRead: what the step takes of local files could not be read.
	NotRead Uncertainty = "unread"
	// NotThere: the step takes a path that is not in its context. The build fails when it
	// comes to this step.
	NotThere Uncertainty = "absent"
	// NotSeen: the builder may have an older state of what the step takes of local files,
	// because it does not see that they changed: see ErrStale.
	NotSeen Uncertainty = "stale-stat"
	// NotResolved: what a tag or an address stands for is not known.
	NotResolved Uncertainty = "unresolved"
	// ByImport: the builder does not hold the result, and the build also looks into a
	// cache elsewhere (--cache-from), which is not asked before it.
	ByImport Uncertainty = "import"
	// RunAnew: a build that ignores the cache is running, and is joined by one that
	// needs what it runs (BuildKit: solver.edgeIndex.LoadOrStore).
	RunAnew Uncertainty = "run-anew"
	// OtherFrontend: another frontend reads this Dockerfile.
	OtherFrontend Uncertainty = "external-frontend"
)

// NewGraph returns the graph of a plan, given the keys of its operations: see [Keys].
// layered says that the builder also knows an image by its layers (BuildKit before
// v0.34).
func NewGraph(plan *dockerfile.Plan, keys []Key, layered bool) Graph {
	g := Graph{Targets: plan.Results, Nodes: make([]Node, len(plan.Ops))}
	for i, op := range plan.Ops {
		g.Nodes[i] = newNode(i, op, keys[i], layered)
	}
	return g
}

// newNode returns the node of operation i of a plan.
func newNode(i int, op dockerfile.Op, key Key, layered bool) Node {
	n := Node{Output: op.Output, Steps: op.Steps, NoCache: op.IgnoreCache}
	switch {
	case key.Cause != i: // what is not known is of an input
	case key.Reason == Unread:
		n.Unknown = NotRead
	case key.Reason == Absent:
		n.Unknown = NotThere
	case key.Reason == Stale:
		n.Unknown = NotSeen
	}
	switch {
	case op.Digest != "":
		n.Digests = []string{op.Digest}
		if layered && op.Source != nil && op.Source.Layers != "" {
			n.Digests = append(n.Digests, op.Source.Layers)
		}
	case key.Reason == Unresolved:
		n.Unknown = NotResolved
	}
	for j, in := range op.Inputs {
		n.Inputs = append(n.Inputs, Input{
			Node:      in.Op,
			Selector:  in.Selector,
			ByContent: in.Content != nil,
			Content:   key.Inputs[j].Content,
			Late:      in.Digest != "",
		})
	}
	return n
}

// Planned returns g, of plan, as far as it can be relied on before the build. Where the
// configuration of an image was not looked up, the plan lacks its environment, and so
// the digests of all operations on that image are not those of the build: these nodes
// are unknown.
func (g Graph) Planned(plan *dockerfile.Plan) Graph {
	guessed := map[string]bool{} // names of images whose configuration was not looked up
	for _, ref := range slices.Concat(plan.Assumed, plan.Remembered) {
		name, _, _ := strings.Cut(ref, "@")
		guessed[name] = true
	}
	if len(guessed) == 0 {
		return g
	}
	nodes := slices.Clone(g.Nodes)
	for i := range nodes {
		n := &nodes[i]
		if src := plan.Ops[i].Source; src != nil {
			name, _, _ := strings.Cut(src.Name, "@")
			if src.Kind == dockerfile.OCISource || src.Kind == dockerfile.ImageSource && guessed[name] {
				n.Unknown = NotResolved
			}
			continue
		}
		for _, in := range n.Inputs {
			if nodes[in.Node].Unknown == NotResolved {
				n.Unknown = NotResolved
			}
		}
	}
	return Graph{Nodes: nodes, Targets: g.Targets}
}
