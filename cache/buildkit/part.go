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
		part := Part{Plan: p.recording.Plan, Fates: make([]cache.Fate, n), Runs: make([]Run, n)}
		seen := map[string]*seenVertex{}
		for digest, id := range p.config.DigestMapping {
			if v := o.seen.vertices[digest]; v != nil {
				seen[id] = v
			}
		}
		for i, id := range p.recording.IDs {
			v := seen[id]
			if v == nil {
				continue
			}
			if l, ok := parseLabel(v.Name); ok && l.step() {
				part.Plan.Ops[i].Steps = []int{o.byStep[l.prefix]}
			}
			if op := &part.Plan.Ops[i]; op.Record == "" {
				op.Record = dockerfile.RecordOf(v.Name)
			}
			if part.Fates[i] = o.fate(v); part.Fates[i] == cache.Made {
				part.Runs[i] = Run{*v.Started, *v.Completed}
			}
		}
		list = append(list, part)
	}
	return list
}

// fate says what became of a vertex of this build.
func (o *observation) fate(v *seenVertex) cache.Fate {
	switch {
	case v.Started == nil || v.Completed == nil || v.Error != "" || v.inferred():
		return cache.Untouched
	case v.Cached, o.imports && v.pulled && !v.logged:
		return cache.Loaded
	}
	return cache.Made
}
