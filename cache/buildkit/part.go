package buildkit

import (
	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/context/dockerfile"
)

// parts combines the operations in the provenance with the vertices in the status
// stream. It returns nil if the operations for one of the platforms are unknown:
// those of the others alone would not tell what the builder holds now.
func (o *observation) parts() []Part {
	var list []Part
	for _, p := range o.prov {
		if p.recording == nil {
			return nil
		}
		list = append(list, o.part(p))
	}
	return list
}

// part returns the part for one platform.
func (o *observation) part(p provenance) Part {
	vertices, labels := map[string]*seenVertex{}, map[string]label{} // by operation id
	for digest, id := range p.config.DigestMapping {
		if v := o.seen.vertices[digest]; v != nil {
			vertices[id] = v
		}
		if l, ok := o.labels[digest]; ok {
			labels[id] = l
		}
	}
	part := newPart(p.recording.Plan)
	part.Traits, part.Lines = p.recording.Traits, make([]int, len(p.recording.IDs))
	for i, id := range p.recording.IDs {
		part.Lines[i] = p.line(id)
		v := vertices[id]
		if v == nil {
			continue
		}
		op := &part.Plan.Ops[i]
		if l, ok := labels[id]; ok {
			op.Steps = []int{o.byStep[l.prefix]}
		}
		if op.Record == "" {
			op.Record = dockerfile.RecordOf(v.Name)
		}
		part.set(i, v, o.imports)
	}
	return part
}

// Part returns what became of the operations of plan, which must be the plan of what
// was solved. The builder records nothing of such a solve, so operations are found by
// the names of their steps. It returns false if one of them is not found.
func (s Solved) Part(plan *dockerfile.Plan) (Part, bool) {
	vertices := map[stepOp]*seenVertex{}
	for _, v := range s.seen.vertices {
		if l, ok := parseLabel(v.Name); ok && l.step() {
			vertices[stepOpOf(l, dockerfile.RecordOf(v.Name))] = v
		}
	}
	part := newPart(plan)
	lost := func(*seenVertex) bool { return false }
	if s.Broken {
		part.Lost, lost = make([]bool, len(plan.Ops)), s.seen.lost()
	}
	for i, op := range plan.Ops {
		var v *seenVertex
		for _, at := range op.Steps { // a vertex has the name of one of its steps
			l, _ := parseLabel(plan.Steps[at].Name)
			if found := vertices[stepOpOf(l, op.Record)]; found != nil {
				v = found
			}
		}
		if v == nil {
			if op.Source == nil {
				return Part{}, false
			}
			continue
		}
		part.set(i, v, s.imports)
		if part.Fates[i] == cache.Made && lost(v) {
			part.Lost[i] = true
		}
	}
	return part, true
}

// A stepOp identifies an operation among those of one solve: the prefix of its step,
// and its Op.Record, since ADD and COPY can be several operations. A RUN is only one,
// and its record is "RUN": Op.Record stands for its command, the name of its vertex
// for the instruction.
type stepOp struct{ prefix, record string }

func stepOpOf(l label, record string) stepOp {
	if l.keyword == "RUN" {
		record = "RUN"
	}
	return stepOp{l.prefix, record}
}

// fate returns what became of v, in a build that reads a remote cache if imports is
// true. Layers that were pulled for a vertex which logged nothing came from there.
func (v *seenVertex) fate(imports bool) cache.Fate {
	switch {
	case v.Started == nil || v.Completed == nil || v.Error != "" || v.inferred():
		return cache.Untouched
	case v.Cached, imports && v.pulled && !v.logged:
		return cache.Loaded
	}
	return cache.Made
}
