package cache

import (
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
)

// A Graph is what of a build decides what the cache reuses: BuildKit's
// operations and what each takes in. It is immutable.
//
// Digests are BuildKit's own: plain hashes over the values of args, among others,
// which stay in memory.
type Graph struct {
	// Nodes are in an order in which inputs come before what needs them.
	Nodes []Node
	// Targets are the nodes whose results the build asks for.
	Targets []int
}

// A Node is one result of one operation (BuildKit: solver.Edge).
type Node struct {
	// Digests are the operation's own (BuildKit: CacheMap.Digest): what it does,
	// without what it takes in. Only sources have more than one, each as good as
	// the other. There is none for an operation whose digest differs in every
	// build (a local source), and none of a source of which Unknown says why.
	Digests []string
	Output  int // which of the operation's results
	Inputs  []Input
	Steps   []int // indexes of the steps that it is part of
	NoCache bool  // the build was told not to look for it
	// Doubted reports that the builder may have results of it that nobody observed.
	Doubted bool
	// Unknown says why the node's keys cannot be determined.
	Unknown Uncertainty
}

// An Input is what a node takes in.
type Input struct {
	Node     int
	Selector string // limits what of the other's key matches (BuildKit: CacheMap.Deps)
	// ByContent reports that BuildKit also looks for the digest of what it takes
	// of the result. Content is the id of that digest (see [Key]), where it is known
	// before the build: for what comes from local files, and for a heredoc. Late reports that the
	// solver has it only once Node's result is there, and then not always.
	ByContent bool
	Content   string
	Late      bool
}

// An Uncertainty says why something about a build cannot be known before it.
type Uncertainty string

// The uncertainties.
const (
	// ByStageContent: the step is keyed by what it takes of another stage, and that
	// stage is not reused as it was.
	ByStageContent Uncertainty = "stage-content"
	// NotObserved: a build ran this operation on files that nobody knows.
	NotObserved Uncertainty = "unobserved"
	// PerhapsGone: the record of the result was not seen since the builder last
	// listed what it holds.
	PerhapsGone Uncertainty = "liveness"
	// NotRead: what the step takes of local files could not be read.
	NotRead Uncertainty = "unread"
	// NotSeen: the builder may have an older state of what the step takes of local
	// files, because their change does not show in what it looks at.
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

// NewGraph returns what of a plan, whose keys are given, decides the cache.
// layered says that the builder also knows an image by its layers (BuildKit
// before v0.34).
func NewGraph(plan *dockerfile.Plan, keys []Key, layered bool) Graph {
	g := Graph{Targets: plan.Results, Nodes: make([]Node, len(plan.Ops))}
	for i, op := range plan.Ops {
		n := Node{Output: op.Output, Steps: op.Steps, NoCache: op.IgnoreCache}
		switch {
		case keys[i].Cause != i:
		case keys[i].Reason == Unread:
			n.Unknown = NotRead
		case keys[i].Reason == Stale:
			n.Unknown = NotSeen
		}
		switch {
		case op.Digest != "":
			n.Digests = []string{op.Digest}
			if layered && op.Source != nil && op.Source.Layers != "" {
				n.Digests = append(n.Digests, op.Source.Layers)
			}
		case keys[i].Reason == Unresolved:
			n.Unknown = NotResolved
		}
		for j, in := range op.Inputs {
			n.Inputs = append(n.Inputs, Input{
				Node: in.Op, Selector: in.Selector, ByContent: in.Content != nil, Content: keys[i].Inputs[j].Content, Late: in.Digest != "",
			})
		}
		g.Nodes[i] = n
	}
	return g
}

// Planned returns g without what is not known of it before the build: where the
// configuration of an image was not looked up, its environment is missing from
// all that is made of it, and so are the operations' own digests.
func (g Graph) Planned(plan *dockerfile.Plan) Graph {
	guessed := map[string]bool{}
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
