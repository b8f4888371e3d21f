package cache

import (
	"cmp"
	"slices"
)

// A Forecast says what will become of a node or step if it is built now.
type Forecast string

// The forecasts.
const (
	WillHit  Forecast = "hit"     // it will not execute: it is reused, or not needed
	WillMiss Forecast = "miss"    // it will execute
	Unknown  Forecast = "unknown" // what is known before the build does not decide it
)

// A Prediction is what is known before a build of one of its nodes.
type Prediction struct {
	Forecast Forecast
	Reason   Uncertainty // why the forecast is Unknown; "" otherwise
	Cause    MissCause   // why the forecast is WillMiss; "" otherwise
}

// Luck is how often a step that counts by the content of another stage was reused
// although that stage ran: Reused times Of so many.
type Luck struct{ Reused, Of int }

// A MissCause says why a node will execute.
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
// It does what BuildKit's solver does (BuildKit: solver.edge), with the mirror in place
// of the builder's cache. The build asks for the results of its targets. A result that
// one of the node's keys has is loaded, and nothing is asked of the inputs but further
// keys, in some cases. Else the node executes, and asks for the results of all of its
// inputs. To find keys, the solver asks inputs for theirs; where these lead nowhere and
// content counts, it asks for the result of the input to look at its content.
func (m *Mirror) Predict(g Graph) []Prediction {
	if m == nil {
		m = m.clone()
	}
	p := predictor{
		mirror: m, graph: g, found: m.find(g),
		needs: make([]need, len(g.Nodes)), out: make([]Prediction, len(g.Nodes)),
	}
	for _, t := range g.Targets {
		p.needs[t].result = certain
	}
	for n := len(g.Nodes) - 1; n >= 0; n-- {
		p.decide(n)
	}
	p.correctReasons()
	for n := range g.Nodes {
		if p.out[n].Forecast == WillMiss {
			p.out[n].Cause = p.cause(n)
		}
	}
	return p.out
}

// correctReasons replaces ByStageContent as the reason of nodes for which it cannot be one. It
// can be where a node, or something that it is made from, takes unknown files of what may not
// be reused as it was, and where files of a node, or of what is made from it, are compared. Else
// a result is in doubt, as of what was imported. All nodes are decided.
func (p *predictor) correctReasons() {
	nodes := p.graph.Nodes
	unknown := func(in Input) bool { return in.ByContent && in.Content == "" }
	takes, compared := make([]bool, len(nodes)), make([]bool, len(nodes))
	for n, node := range nodes {
		for _, in := range node.Inputs {
			takes[n] = takes[n] || takes[in.Node] || unknown(in) && p.out[in.Node].Forecast != WillHit
		}
	}
	for n := len(nodes) - 1; n >= 0; n-- {
		for _, in := range nodes[n].Inputs {
			compared[in.Node] = compared[in.Node] || compared[n] || unknown(in)
		}
		if p.out[n].Reason == ByStageContent && !takes[n] && !compared[n] {
			p.out[n].Reason = PerhapsGone
		}
	}
}

// cause says why node n, which is a miss, will execute. All nodes are decided.
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
		if in.Content != "" && !in.Late && p.otherContent(node, i) {
			return OtherFiles
		}
	}
	if p.takes(n, Unknown) {
		return TakesInput
	}
	return NeverRun
}

// otherContent reports whether the operation of node ran before, but not with the
// content that its input i has now.
func (p *predictor) otherContent(node Node, i int) bool {
	content := []KeyID{contentKey(node.Inputs[i].Content)}
	return len(p.mirror.fromAny(node, i)) > 0 && len(p.mirror.follow(content, node, i, "")) == 0
}

// A certainty says whether something will be asked of a node.
type certainty int8

const (
	never certainty = iota
	possible
	certain
)

// A need is what is asked of a node in the build: to find all its keys, or its result.
type need struct {
	keys, result certainty
	reason       Uncertainty // why the greater of the two is only possible
}

// A predictor predicts one build. The slices are by node.
type predictor struct {
	mirror *Mirror
	graph  Graph
	found  []sighting
	needs  []need
	out    []Prediction
}

// decide says what becomes of node n, and raises the needs of its inputs. All nodes that
// take n in must be decided.
func (p *predictor) decide(n int) {
	s, want := p.found[n], p.needs[n]
	p.out[n] = Prediction{Forecast: WillHit}
	if p.graph.Nodes[n].NoCache {
		want.result = max(want.result, want.keys) // only executing it gives it keys
	}
	if want.result == never || p.mirror.life(s.fast) == Live {
		p.lookFurther(n, want.keys, want.reason)
		return
	}
	looks := want.result
	if !s.settled || len(s.fast) == 0 {
		looks = max(looks, want.keys)
	}
	p.lookForMissing(n, looks, want.reason)
	life := p.mirror.life(s.sure)
	late := life == Gone && p.mirror.life(s.late) == Live
	vague := vagueInput(p.graph.Nodes[n], p.found)
	switch {
	case life == Live:
		p.lookFurther(n, want.keys, want.reason)
	case late && !vague:
		p.reveal(n, want)
	case late:
		p.doubt(n, cmp.Or(s.reason, ByStageContent))
	case life == Perhaps:
		p.doubt(n, PerhapsGone)
	case s.unbounded || p.mirror.life(s.might) != Gone:
		p.doubt(n, s.reason)
	default:
		p.miss(n, want)
	}
}

// doubt says that it is not known whether n executes.
func (p *predictor) doubt(n int, reason Uncertainty) {
	p.out[n] = Prediction{Forecast: Unknown, Reason: reason}
	p.ask(n, possible, possible, reason)
}

// miss says that n executes, as far as its result is needed.
func (p *predictor) miss(n int, want need) {
	p.out[n] = Prediction{Forecast: WillMiss}
	if want.result == possible {
		p.out[n] = Prediction{Forecast: Unknown, Reason: want.reason}
	}
	if !p.hopeless(n) {
		p.ask(n, want.result, never, want.reason)
	}
	p.ask(n, never, want.result, want.reason)
}

// hopeless reports whether an input of n leads to no key at all, so that the solver
// stops looking for keys and asks for all results.
func (p *predictor) hopeless(n int) bool {
	node := p.graph.Nodes[n]
	for i, in := range node.Inputs {
		if _, might, _ := p.mirror.through(node, i, p.found[in.Node]); len(might) == 0 || node.NoCache {
			return true
		}
	}
	return false
}

// lookForMissing asks for the keys of the inputs of n that lead to no key of it yet, and
// for the result of those where only their content can.
func (p *predictor) lookForMissing(n int, c certainty, reason Uncertainty) {
	node := p.graph.Nodes[n]
	for i, in := range node.Inputs {
		from, c, reason := p.found[in.Node], c, reason
		if s := p.found[n]; s.strange && !from.keyless() { // else only its content can lead on
			c, reason = min(c, possible), s.reason
		}
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
		case !node.NoCache && p.mayStray(n, i):
			p.raise(in.Node, c, possible, NotObserved)
		default:
			p.raise(in.Node, c, c, reason)
		}
	}
}

// lookFurther asks the inputs of n for what the solver needs to find all keys of n, which
// are asked for with certainty c, beyond the first that it finds.
func (p *predictor) lookFurther(n int, c certainty, reason Uncertainty) {
	s := p.found[n]
	if settled := s.settled && len(s.fast) > 0; c == never || settled && s.firm {
		return
	} else if settled {
		c, reason = possible, PerhapsGone
	}
	p.lookForMissing(n, c, reason)
	switch {
	case s.strange:
		c, reason = possible, s.reason
	case s.firm && len(s.sure) > 0, p.hopeless(n):
		return
	case len(s.sure) == 0:
		c, reason = possible, s.reason
	case s.settled, len(s.fast) == 0 && p.mirror.life(s.sure) == Live:
		// Whoever asks sees the first key, and may then take the result.
		c, reason = possible, PerhapsGone
	case p.mirror.life(s.sure) == Live && slices.ContainsFunc(p.graph.Nodes[n].Inputs, func(in Input) bool { return in.ofStage() && in.Content == "" }):
		// The other key for which the solver looks may be the one that it has: what was made
		// of content that nobody knows is stored under an older key if that was equal.
		c, reason = possible, ByStageContent
	}
	p.ask(n, c, never, reason)
	p.completeContents(n, c, reason)
}

// ask asks for the keys and the results of all inputs of n.
func (p *predictor) ask(n int, keys, result certainty, reason Uncertainty) {
	for _, in := range p.graph.Nodes[n].Inputs {
		p.raise(in.Node, keys, result, reason)
	}
}

// reveal asks for what shows the late key of n, by which its result is then found. The
// result of an input shows it. So may, before that is there, a key of the input that is
// late itself; but by then the solver has asked for the results of the other inputs.
func (p *predictor) reveal(n int, want need) {
	node := p.graph.Nodes[n]
	for i, in := range node.Inputs {
		result := possible
		if !p.found[n].strange && !p.mirror.mayLead(p.found[in.Node], node, i) && !p.mayStray(n, i) {
			result = want.result
		}
		p.raise(in.Node, want.result, result, ByStageContent)
	}
}

// completeContents asks for the results of the inputs of n at whose content the solver
// can look only then.
func (p *predictor) completeContents(n int, result certainty, reason Uncertainty) {
	for i, in := range p.graph.Nodes[n].Inputs {
		switch {
		case !in.ofStage():
		case p.mayStray(n, i):
			p.raise(in.Node, result, min(result, possible), NotObserved)
		default:
			p.raise(in.Node, result, result, reason)
		}
	}
}

// bygone reports whether n may have a key that nobody knows, and no result of it.
func (p *predictor) bygone(n int) bool {
	node := p.graph.Nodes[n]
	return len(node.Bygone) > 0 && !node.NoCache && !slices.ContainsFunc(node.Inputs, func(in Input) bool {
		return !in.ByContent && p.found[in.Node].keyless() && !p.bygone(in.Node)
	})
}

// mayStray reports whether a key of input i of n that nobody knows may lead to a key of n, so
// that the solver need not look at the content of the input's result.
func (p *predictor) mayStray(n, i int) bool {
	node := p.graph.Nodes[n]
	from := p.graph.Nodes[node.Inputs[i].Node]
	if p.bygone(n) {
		return true
	}
	if !p.bygone(node.Inputs[i].Node) {
		return false
	}
	keys := slices.DeleteFunc(slices.Clone(p.mirror.fromAny(node, i)), func(k KeyID) bool { return !from.Bygone[k] })
	for j, in := range node.Inputs {
		if j != i {
			_, might, _ := p.mirror.through(node, j, p.found[in.Node])
			keys = intersect(keys, might)
		}
	}
	return len(keys) > 0
}

// raise asks for the keys and the result of n at least so surely; reason says why that is
// only possible.
func (p *predictor) raise(n int, keys, result certainty, reason Uncertainty) {
	want := &p.needs[n]
	if want.keys == never && want.result == never || result > want.result {
		want.reason = reason
	}
	want.keys, want.result = max(want.keys, keys), max(want.result, result)
}

// takes reports whether an input of node n, other than a source, has the forecast.
func (p *predictor) takes(n int, forecast Forecast) bool {
	return slices.ContainsFunc(p.graph.Nodes[n].Inputs, func(in Input) bool {
		return p.out[in.Node].Forecast == forecast && !p.source(in.Node)
	})
}

// source reports whether node n has no inputs.
func (p *predictor) source(n int) bool { return len(p.graph.Nodes[n].Inputs) == 0 }
