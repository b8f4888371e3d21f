package dockerfile

import (
	"path"
	"slices"

	"github.com/moby/buildkit/solver/pb"
	digest "github.com/opencontainers/go-digest"
)

// link relates the steps to each other, seen through what is no step (sources,
// merges, internal operations).
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
				if t.Step = from.step; !from.isStepBut(v.step) {
					t.Step = g.base(from, v.step)
				}
				if t.Step >= 0 {
					s.From = append(s.From, t)
				}
			}
		}
	}
}

// isStepBut reports whether v is the result of another step than self. What only
// contributes to a step does not stand for it: it may be the copy that several
// COPY --link share, and goes by the name of the last of them, which can stand below
// what takes it.
func (v *vertex) isStepBut(self int) bool { return v.result && v.step != self }

// A graph is a definition's operations by digest.
type graph map[string]*vertex

func newGraph(vertices []*vertex) graph {
	g := graph{}
	for _, v := range vertices {
		g[string(v.dgst)] = v
	}
	return g
}

// needs adds to list the steps that v needs directly, other than self.
func (g graph) needs(v *vertex, self int, list *[]int) {
	for _, in := range v.op.Inputs {
		p := g[in.Digest]
		switch {
		case p == nil:
		case p.isStepBut(self):
			if !slices.Contains(*list, p.step) {
				*list = append(*list, p.step)
			}
		default:
			g.needs(p, self, list)
		}
	}
}

// base returns the step, other than self, that v's result extends; -1 if there
// is none.
func (g graph) base(v *vertex, self int) int {
	for _, i := range rootInputs(v.op) {
		p := g[v.op.Inputs[i].Digest]
		switch {
		case p == nil:
		case p.isStepBut(self):
			return p.step
		default:
			if base := g.base(p, self); base >= 0 {
				return base
			}
		}
	}
	return -1
}

// stageTakes returns what op takes of its inputs beside the one that it
// extends; Step is the index of the input.
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

// markFinal marks the steps whose layers make up the image: from the result
// back along what each step extends.
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

// rootInputs returns the inputs of op that its result extends, by index.
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
