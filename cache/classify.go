package cache

import "slices"

// A Vertex is what a builder reports of one node in the graph of a build. Several can stand
// for one step: `COPY --link` is a copy and a merge, and `ADD` of a URL a download and a
// copy.
type Vertex struct {
	// Inputs are indexes into the slice that holds the vertex.
	Inputs []int
	// Step is the index of the step that it belongs to; -1 for sources, for
	// BuildKit's own vertices, and for what is not the build's own.
	Step int
	// Source marks what has no outcome of its own: FROM, a context, a download.
	Source bool

	Started   bool // the builder began to load or to run it
	Completed bool // and came to an end
	Cached    bool // the builder says CACHED
	// Inferred says that CACHED was not seen to happen but concluded, when
	// something that needs the vertex started (BuildKit: solver/progress.go).
	Inferred bool
	Failed   bool
	// Keyless says of a vertex that failed that it did so before the builder had its key: it
	// does not follow that what it takes in was there.
	Keyless bool
	// Canceled says that it was under way when the build ended.
	Canceled bool
	// Fetched says that layers were pulled for it and nothing was run.
	Fetched bool
	// Joined says that another build was running the same operation.
	Joined bool
}

// ran reports whether v cost execution time.
func (v Vertex) ran() bool {
	return !v.Source && v.Started && (v.Failed || !v.Cached && !v.Canceled && !v.Fetched)
}

// Classify says what became of each of n steps in a build that ended as status.
//
// A step cascaded if it takes in the result of another step that was made anew in this
// build. A hit in between cuts the chain, because its result is the old one. BuildKit loads
// only what it needs. So in a build that completed, a step that never started is a hit:
// something that is made from it was one.
func Classify(vertices []Vertex, n int, status Status) []Outcome {
	g := graph{vertices: vertices, status: status, fresh: make([]mark, len(vertices))}
	g.findNeeded()
	outcomes := make([]Outcome, n)
	for i := range outcomes {
		outcomes[i] = Skipped
	}
	for i, v := range vertices {
		if v.Step < 0 || v.Step >= n || v.Source {
			continue
		}
		if o := g.outcome(i); byWeight(o) > byWeight(outcomes[v.Step]) {
			outcomes[v.Step] = o
		}
	}
	return outcomes
}

// byWeight orders outcomes. Of the vertices of one step, the outcome of the greatest weight,
// which cost most, is that of the step.
func byWeight(o Outcome) int {
	return slices.Index([]Outcome{Skipped, Hit, Joined, Imported, Executed, Cascaded, Failed}, o)
}

// A mark is what is known of a property of a vertex.
type mark int8

const (
	unknown mark = iota
	no
	yes
)

// A graph is the vertices of one build, with what follows for each.
type graph struct {
	vertices []Vertex
	status   Status
	needed   []bool // a vertex made from it was a hit, or ran to its end
	fresh    []mark // of vertices without a step: see isFresh
}

// findNeeded fills in needed.
func (g *graph) findNeeded() {
	g.needed = make([]bool, len(g.vertices))
	var need func(int)
	need = func(i int) {
		for _, in := range g.vertices[i].Inputs {
			if !g.needed[in] {
				g.needed[in] = true
				need(in)
			}
		}
	}
	for i, v := range g.vertices {
		if (v.Completed && !v.Inferred && !v.Canceled || v.Failed) && !v.Keyless {
			need(i)
		}
	}
}

// outcome returns the outcome of vertex i alone.
func (g *graph) outcome(i int) Outcome {
	v := g.vertices[i]
	switch {
	case v.Failed:
		return Failed
	case v.Canceled && !v.Cached:
		return Skipped
	case v.ran():
		for _, in := range v.Inputs {
			if g.isFresh(in, v.Step) {
				return Cascaded
			}
		}
		return Executed
	case v.Fetched:
		return Imported
	case v.Joined:
		return Joined
	case v.Cached && !v.Inferred, g.status == Completed, g.needed[i]:
		return Hit
	}
	return Skipped
}

// isFresh reports whether the result of vertex i comes from a step other than
// self that ran in this build.
func (g *graph) isFresh(i, self int) bool {
	v := g.vertices[i]
	if v.Step >= 0 && v.Step != self {
		return v.ran() || v.Joined
	}
	if v.Step >= 0 && !v.ran() || v.Source {
		return false
	}
	// A vertex of the same step, or one of BuildKit's own, hands on what it
	// takes in.
	if v.Step < 0 && g.fresh[i] != unknown {
		return g.fresh[i] == yes
	}
	result := no
	for _, in := range v.Inputs {
		if g.isFresh(in, self) {
			result = yes
			break
		}
	}
	if v.Step < 0 {
		g.fresh[i] = result
	}
	return result == yes
}
