package buildkit

import (
	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/context/dockerfile"
)

// parts puts what the provenance says of operations and what the status says of
// vertices together.
func (o *observation) parts() []Part {
	var list []Part
	for _, p := range o.prov {
		if p.recording == nil {
			return nil // a part alone would not tell what the builder holds
		}
		n := len(p.recording.IDs)
		part := Part{
			Plan: p.recording.Plan, Fates: make([]cache.Fate, n), Runs: make([]Run, n),
			Traits: p.recording.Traits, Lines: make([]int, n),
		}
		seen, labels := map[string]*seenVertex{}, map[string]label{}
		for digest, id := range p.config.DigestMapping {
			if v := o.seen.vertices[digest]; v != nil {
				seen[id] = v
			}
			if l, ok := o.labels[digest]; ok {
				labels[id] = l
			}
		}
		for i, id := range p.recording.IDs {
			part.Lines[i] = p.line(id)
			v := seen[id]
			if v == nil {
				continue
			}
			if l, ok := labels[id]; ok {
				part.Plan.Ops[i].Steps = []int{o.byStep[l.prefix]}
			}
			if op := &part.Plan.Ops[i]; op.Record == "" {
				op.Record = dockerfile.RecordOf(v.Name)
			}
			part.Fates[i] = v.fate(o.imports)
			if part.Fates[i] != cache.Untouched {
				part.Runs[i] = Run{*v.Started, *v.Completed}
			}
		}
		list = append(list, part)
	}
	return list
}

// Part tells what became of the operations of the plan that was solved; false if
// one of them cannot be told from what the builder said. There is no record of
// such a solve, so operations go by the names of their steps.
func (s Solved) Part(plan *dockerfile.Plan) (Part, bool) {
	type named struct{ prefix, record string }
	seen := map[named]*seenVertex{}
	for _, v := range s.seen.vertices {
		if l, ok := parseLabel(v.Name); ok && l.step() {
			seen[named{l.prefix, dockerfile.RecordOf(v.Name)}] = v
			if l.keyword == "RUN" {
				seen[named{l.prefix, "RUN"}] = v
			}
		}
	}
	part := Part{Plan: plan, Fates: make([]cache.Fate, len(plan.Ops)), Runs: make([]Run, len(plan.Ops))}
	lost := func(*seenVertex) bool { return false }
	if s.Broken {
		part.Lost, lost = make([]bool, len(plan.Ops)), s.seen.lost()
	}
	for i, op := range plan.Ops {
		var v *seenVertex
		for _, at := range op.Steps { // one of them names the vertex
			l, _ := parseLabel(plan.Steps[at].Name)
			record := op.Record
			if l.keyword == "RUN" {
				record = "RUN"
			}
			if have := seen[named{l.prefix, record}]; have != nil {
				v = have
			}
		}
		if v == nil {
			if op.Source == nil {
				return Part{}, false
			}
			continue
		}
		part.Fates[i] = v.fate(s.imports)
		if part.Fates[i] != cache.Untouched {
			part.Runs[i] = Run{*v.Started, *v.Completed}
		}
		if part.Fates[i] == cache.Made && lost(v) {
			part.Lost[i] = true
		}
	}
	return part, true
}

// fate says what became of a vertex of this build, which imports a remote cache
// or does not.
func (v *seenVertex) fate(imports bool) cache.Fate {
	switch {
	case v.Started == nil || v.Completed == nil || v.Error != "" || v.inferred():
		return cache.Untouched
	case v.Cached, imports && v.pulled && !v.logged:
		return cache.Loaded
	}
	return cache.Made
}
