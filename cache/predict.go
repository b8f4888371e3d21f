package cache

import (
	"cmp"
	"slices"
)

// A Forecast says what will become of a node or step if it is built now.
type Forecast string

// The forecasts.
const (
	WillHit  Forecast = "hit"  // it will not execute
	WillMiss Forecast = "miss" // it will execute
	Unknown  Forecast = "unknown"
)

// A Prediction is what is known before a build of one of its nodes.
type Prediction struct {
	Forecast Forecast
	// Reason says why the forecast is Unknown.
	Reason Uncertainty
	// Cause says why the forecast is WillMiss.
	Cause MissCause
}

// Luck is how often a step that is keyed by the content of another stage was
// reused although that stage ran.
type Luck struct{ Reused, Of int }

// A MissCause says why something will run.
type MissCause string

// The causes.
const (
	NeverRun   MissCause = "new"      // the operation, or what it is applied to, is new
	OtherFiles MissCause = "files"    // it ran, on other files
	ResultGone MissCause = "gone"     // its result was dropped
	TakesInput MissCause = "input"    // something that it takes in will run
	ToldTo     MissCause = "no-cache" // the build is told not to look for it
)

// Predict says for each node of g whether it would execute if g were built now.
//
// It does what BuildKit's solver does (BuildKit: solver.edge), with what the
// mirror knows in place of its cache: a result is loaded where one of the node's
// keys has one, else all that the node takes in is needed. Keys follow from the
// keys of what is taken in, or from its content. The content of another stage is
// not known before it was built, and the solver looks at it only when no result
// is found without it.
func (m *Mirror) Predict(g Graph) []Prediction {
	if m == nil {
		m = m.clone()
	}
	p := predictor{mirror: m, graph: g, found: m.find(g), needs: make([]need, len(g.Nodes)), out: make([]Prediction, len(g.Nodes))}
	for _, t := range g.Targets {
		p.needs[t].result = certain
	}
	for n := len(g.Nodes) - 1; n >= 0; n-- {
		p.decide(n)
	}
	for n := range g.Nodes {
		if p.out[n].Forecast == WillMiss {
			p.out[n].Cause = p.cause(n)
		}
	}
	return p.out
}

// cause says why node n will run.
func (p *predictor) cause(n int) MissCause {
	node := p.graph.Nodes[n]
	switch {
	case node.NoCache:
		return ToldTo
	case p.takes(n, WillMiss):
		return TakesInput
	case len(p.found[n].sure) > 0:
		return ResultGone
	}
	for i, in := range node.Inputs {
		if in.Content != "" && !in.Late && len(p.mirror.madeOf(node, i)) > 0 && len(p.mirror.follow([]KeyID{contentKey(in.Content)}, node, i, "")) == 0 {
			return OtherFiles
		}
	}
	if p.takes(n, Unknown) {
		return TakesInput
	}
	return NeverRun
}

// certainty says whether something will be asked for.
type certainty int8

const (
	never certainty = iota
	possible
	certain
)

// A need is what a build asks of a node: all its keys, or its result.
type need struct {
	keys, result certainty
	reason       Uncertainty // why it is only possible
}

type predictor struct {
	mirror *Mirror
	graph  Graph
	found  []sighting
	needs  []need
	out    []Prediction
}

// decide says what becomes of node n, once all that takes it in is decided, and
// asks for what it takes in.
func (p *predictor) decide(n int) {
	s, want := p.found[n], p.needs[n]
	p.out[n] = Prediction{Forecast: WillHit}
	if p.graph.Nodes[n].NoCache {
		want.result = max(want.result, want.keys)
	}
	if want.result == never {
		p.lookFurther(n, want.keys, want.reason)
		return
	}
	if p.mirror.life(s.fast) == Live {
		p.lookFurther(n, want.keys, want.reason)
		return
	}
	looks := want.result
	if !s.settled || len(s.fast) == 0 {
		looks = max(looks, want.keys)
	}
	p.lookForMissing(n, looks, want.reason)
	life := p.mirror.life(s.sure)
	if life == Live {
		p.lookFurther(n, want.keys, want.reason)
		return
	}
	reason := s.reason
	if life == Gone && p.mirror.life(s.late) == Live {
		if !vagueInput(p.graph.Nodes[n], p.found) {
			p.reveal(n, want)
			return
		}
		reason = cmp.Or(reason, ByStageContent)
	}
	if life == Perhaps {
		reason = PerhapsGone
	}
	hopeless := p.hopeless(n)
	if life == Gone && !s.anything && p.mirror.life(s.might) == Gone {
		p.out[n] = Prediction{Forecast: WillMiss}
		if want.result == possible {
			p.out[n] = Prediction{Forecast: Unknown, Reason: want.reason}
		}
		if !hopeless {
			p.ask(n, want.result, never, want.reason)
		}
		p.ask(n, never, want.result, want.reason)
		return
	}
	p.out[n] = Prediction{Forecast: Unknown, Reason: reason}
	p.ask(n, possible, possible, reason)
}

// hopeless reports whether an input of n leads to no key at all, so that the
// solver stops looking and asks for all results.
func (p *predictor) hopeless(n int) bool {
	node := p.graph.Nodes[n]
	for i, in := range node.Inputs {
		if _, might, _ := p.mirror.through(node, i, p.found[in.Node]); len(might) == 0 || node.NoCache {
			return true
		}
	}
	return false
}

// lookForMissing asks for the keys of the inputs that lead to none yet, and for
// the result where only its content can.
func (p *predictor) lookForMissing(n int, c certainty, reason Uncertainty) {
	node := p.graph.Nodes[n]
	for i, in := range node.Inputs {
		from := p.found[in.Node]
		if !node.NoCache && len(p.mirror.follow(from.fast, node, i, in.Selector)) > 0 {
			continue
		}
		sure, _, _ := p.mirror.through(node, i, from)
		if len(sure) > 0 && !node.NoCache {
			// The first key may be enough, and then it is asked for no more.
			p.raise(in.Node, min(c, possible), never, PerhapsGone)
			continue
		}
		p.raise(in.Node, c, never, reason)
		switch {
		case !in.ofStage():
		case !node.NoCache && p.mirror.mayLead(from, node, i):
			p.raise(in.Node, c, possible, ByStageContent)
		default:
			p.raise(in.Node, c, c, reason)
		}
	}
}

// lookFurther does what the solver does for a node that it asks for all its
// keys.
func (p *predictor) lookFurther(n int, c certainty, reason Uncertainty) {
	s := p.found[n]
	if settled := s.settled && len(s.fast) > 0; c == never || settled && s.firm {
		return
	} else if settled {
		c, reason = possible, PerhapsGone
	}
	p.lookForMissing(n, c, reason)
	switch {
	case s.settled && len(s.sure) > 0, p.hopeless(n):
		return
	case len(s.sure) == 0:
		c, reason = possible, s.reason
	case len(s.fast) == 0 && p.mirror.life(s.sure) == Live:
		// Whoever asks sees the first key, and may then take the result.
		c, reason = possible, PerhapsGone
	}
	p.ask(n, c, never, reason)
	p.completeContents(n, c, reason)
}

// ask asks for the keys and the results of what n takes in.
func (p *predictor) ask(n int, keys, result certainty, reason Uncertainty) {
	for _, in := range p.graph.Nodes[n].Inputs {
		p.raise(in.Node, keys, result, reason)
	}
}

// reveal asks for what shows the late key of n. The result of an input does, and
// perhaps before it is there a key of the input, which is late itself; until
// then the solver has asked for the other results, too.
func (p *predictor) reveal(n int, want need) {
	node := p.graph.Nodes[n]
	for i, in := range node.Inputs {
		result := possible
		if !p.mirror.mayLead(p.found[in.Node], node, i) {
			result = want.result
		}
		p.raise(in.Node, want.result, result, ByStageContent)
	}
}

// completeContents asks for the results of the inputs of n whose content the
// solver looks at only then.
func (p *predictor) completeContents(n int, result certainty, reason Uncertainty) {
	for _, in := range p.graph.Nodes[n].Inputs {
		if in.ofStage() {
			p.raise(in.Node, result, result, reason)
		}
	}
}

func (p *predictor) raise(n int, keys, result certainty, reason Uncertainty) {
	want := &p.needs[n]
	if want.keys == never && want.result == never || result > want.result {
		want.reason = reason
	}
	want.keys, want.result = max(want.keys, keys), max(want.result, result)
}

// takes reports whether something that node n takes in is predicted so.
func (p *predictor) takes(n int, forecast Forecast) bool {
	return slices.ContainsFunc(p.graph.Nodes[n].Inputs, func(in Input) bool {
		return p.out[in.Node].Forecast == forecast && !p.source(in.Node)
	})
}

func (p *predictor) source(n int) bool { return len(p.graph.Nodes[n].Inputs) == 0 }
