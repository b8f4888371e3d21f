package dockerfile

import (
	"path"
	"slices"

	"github.com/moby/buildkit/solver/pb"
	digest "github.com/opencontainers/go-digest"
)

// link sets Parents, Base and From of the steps. Vertices that are not the result of a
// step, such as sources, merges and internal operations, are passed through.
func (a *assembler) link(vertices []*vertex) {
	g := newGraph(vertices)
	for _, v := range vertices {
		v.result = v.step >= 0 && a.plan.Steps[v.step].Digest == v.dgst.String()
	}
	for _, v := range vertices {
		if v.step < 0 {
			continue
		}
		s := &a.plan.Steps[v.step]
		g.needs(v, v.step, &s.Parents)
		if base := g.base(v, v.step); base >= 0 {
			s.Base = base
		}
		for _, t := range stageTakes(v.op) {
			if from := g[v.op.Inputs[t.Step].Digest]; from != nil && from.op.GetSource() == nil {
				if t.Step = from.step; !from.isOtherStep(v.step) {
					t.Step = g.base(from, v.step)
				}
				if t.Step >= 0 {
					s.From = append(s.From, t)
				}
			}
		}
	}
}

// isOtherStep reports whether v is the result of a step other than self. A vertex that
// is only a part of a step does not count: it may be the copy that several COPY --link
// share, which has the name of the last of them, and that one can come after the step
// that needs the copy.
func (v *vertex) isOtherStep(self int) bool { return v.result && v.step != self }

// A graph has the vertices of a definition by digest.
type graph map[string]*vertex

func newGraph(vertices []*vertex) graph {
	g := graph{}
	for _, v := range vertices {
		g[string(v.dgst)] = v
	}
	return g
}

// needs adds to list the steps other than self that v needs, with no other step between
// them and v.
func (g graph) needs(v *vertex, self int, list *[]int) {
	for _, in := range v.op.Inputs {
		p := g[in.Digest]
		switch {
		case p == nil:
		case p.isOtherStep(self):
			if !slices.Contains(*list, p.step) {
				*list = append(*list, p.step)
			}
		default:
			g.needs(p, self, list)
		}
	}
}

// base returns the step other than self whose result that of v extends; -1 if there is
// none.
func (g graph) base(v *vertex, self int) int {
	for _, i := range rootInputs(v.op) {
		p := g[v.op.Inputs[i].Digest]
		switch {
		case p == nil:
		case p.isOtherStep(self):
			return p.step
		default:
			if base := g.base(p, self); base >= 0 {
				return base
			}
		}
	}
	return -1
}

// stageTakes returns what op copies or mounts from inputs other than the one that it
// extends. StageTake.Step is the index of the input, not of a step.
func stageTakes(op *pb.Op) []StageTake {
	var list []StageTake
	in := func(i int64) bool { return i >= 0 && int(i) < len(op.Inputs) }
	for _, action := range op.GetFile().GetActions() {
		if cp := action.GetCopy(); cp != nil && in(action.SecondaryInput) {
			list = append(list, StageTake{Step: int(action.SecondaryInput), Path: path.Clean("/" + cp.Src), Dest: cp.Dest})
		}
	}
	for _, m := range op.GetExec().GetMounts() {
		if m.Dest != pb.RootMount && in(m.Input) {
			list = append(list, StageTake{Step: int(m.Input), Path: path.Clean("/" + m.Selector), Dest: m.Dest, Mount: true})
		}
	}
	return list
}

// markFinal marks the steps whose layers make up the image: those met from the result
// head back along the inputs that each vertex extends.
func (a *assembler) markFinal(vertices []*vertex, head digest.Digest) {
	g := newGraph(vertices)
	var walk func(dgst string)
	walk = func(dgst string) {
		v := g[dgst]
		if v == nil {
			return
		}
		if v.step >= 0 {
			a.plan.Steps[v.step].Final = true
		}
		for _, i := range rootInputs(v.op) {
			walk(v.op.Inputs[i].Digest)
		}
	}
	walk(string(head))
}

// rootInputs returns the indexes of the inputs that the result of op extends.
func rootInputs(op *pb.Op) []int {
	var list []int
	in := func(i int64) {
		if i >= 0 && int(i) < len(op.Inputs) {
			list = append(list, int(i))
		}
	}
	switch {
	case op.GetMerge() != nil:
		for i := range op.Inputs {
			in(int64(i))
		}
	case op.GetExec() != nil:
		for _, m := range op.GetExec().Mounts {
			if m.Dest == pb.RootMount {
				in(m.Input)
			}
		}
	case op.GetFile() != nil:
		for _, action := range op.GetFile().Actions {
			in(action.Input)
		}
	}
	return list
}
