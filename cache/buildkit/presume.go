package buildkit

import (
	"slices"
	"strings"

	"github.com/containerd/platforms"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/context/dockerfile"
)

// Presume tells what became of the operations of plan in a build that did not
// succeed: the builder keeps no record of its operations. It is false if the build was
// of something else. It was of plan if each step goes by the very name that plan gives
// it, values included, and the images and options that count are plan's: plan must
// be of the args and the target that the client gave.
func (o Observed) Presume(plan *dockerfile.Plan) (Part, bool) {
	w := o.watched
	if w == nil || !w.plain || len(w.groups) == 0 || plan.Syntax != "" || len(plan.Assumed)+len(plan.Remembered) > 0 {
		return Part{}, false
	}
	named := map[string][]string{} // names of vertices as Op.Called has them → digests
	left := map[string]bool{}      // vertices that no operation was found for
	for digest, v := range w.seen.vertices {
		called := dockerfile.RecordOf(v.Name)
		named[called] = append(named[called], digest)
		if l, ok := parseLabel(v.Name); ok {
			left[digest] = l.step()
		}
	}
	assumed := *plan
	assumed.Ops = slices.Clone(plan.Ops)
	n := len(plan.Ops)
	part := Part{
		Plan: &assumed, Fates: make([]cache.Fate, n), Runs: make([]Run, n), Lost: make([]bool, n),
		Traits: make([][]dockerfile.Trait, n), Lines: make([]int, n),
	}
	lost := w.seen.lost()
	for i, op := range plan.Ops {
		part.Traits[i] = op.Traits
		if op.Source != nil && op.Source.Kind == dockerfile.ImageSource && named[op.Called] == nil {
			return Part{}, false // started from another image
		}
		if op.Source != nil {
			// What ADD gets from an address goes by the name of its step.
			for _, digest := range named[op.Called] {
				if len(w.seen.vertices[digest].Inputs) == 0 {
					delete(left, digest)
				}
			}
		}
		if len(op.Steps) == 0 {
			continue
		}
		part.Lines[i] = plan.Steps[op.Steps[0]].Lines.From
		v, steps := w.find(named[op.Called], plan, op)
		if v == nil {
			return Part{}, false
		}
		assumed.Ops[i].Steps, part.Fates[i] = steps, v.fate(w.imports)
		if part.Fates[i] != cache.Untouched {
			part.Runs[i], part.Lost[i] = Run{*v.Started, *v.Completed}, part.Fates[i] == cache.Made && lost(v)
		}
		delete(left, v.Digest.String())
	}
	for _, step := range left {
		if step {
			return Part{}, false
		}
	}
	return part, true
}

// find returns that of the vertices which stands for an operation of a plan that is part of
// a step, and the steps of the build that it is; nil if none does. The download of an ADD
// and the ADD itself go by one name: only the latter takes something in.
func (o *observation) find(digests []string, plan *dockerfile.Plan, op dockerfile.Op) (*seenVertex, []int) {
	for _, at := range op.Steps {
		want, _ := parseLabel(plan.Steps[at].Name)
		var found []*seenVertex
		for _, digest := range digests {
			if l, ok := o.labels[digest]; ok && l.prefix == want.prefix {
				found = append(found, o.seen.vertices[digest])
			}
		}
		for _, v := range found {
			if len(found) == 1 || (len(v.Inputs) == 0) == (len(op.Inputs) == 0) {
				return v, []int{o.byStep[want.prefix]}
			}
		}
	}
	return nil, nil
}

// Skeleton returns what of the operations of a build is known by their names alone:
// what became of them and how they hang together.
func (o Observed) Skeleton() []cache.Operation {
	w := o.watched
	if w == nil {
		return nil
	}
	index := map[string]int{}
	for _, digest := range w.seen.order {
		if w.own(digest) {
			index[digest] = len(index)
		}
	}
	list := make([]cache.Operation, len(index))
	for digest, i := range index {
		v := w.seen.vertices[digest]
		list[i].Fate = v.fate(w.imports)
		if l, ok := w.labels[digest]; ok {
			list[i].Steps = []int{w.byStep[l.prefix]}
		}
		for _, in := range v.Inputs {
			if at, ok := index[in.String()]; ok {
				list[i].Inputs = append(list[i].Inputs, cache.Intake{Operation: at})
			}
		}
	}
	return list
}

// unkeyed are the attributes of a build that no key holds, or that a plan is made
// of; of those in unkeyedGroups what follows does not matter.
var (
	unkeyed = []string{
		"filename", "target", "platform", "multi-platform", "no-cache", "cache-imports", "cache-from", "image-resolve-mode",
	}
	unkeyedGroups = []string{"build-arg:", "label:", "vcs:", "attest:", "local-sessionid:"}
)

// plainly reports whether a plan made of the args, the target and the platforms of a
// build says all that its keys hold: neither its network nor its hosts were set, no
// other frontend was named, and the platform that it is for by default is this
// machine's.
func plainly(ev Event, native string) bool {
	attrs := ev.record.FrontendAttrs
	if _, other := attrs["build-arg:BUILDKIT_SYNTAX"]; other {
		return false
	}
	for name := range attrs {
		if !slices.Contains(unkeyed, name) && !slices.ContainsFunc(unkeyedGroups, func(group string) bool { return strings.HasPrefix(name, group) }) {
			return false
		}
	}
	return attrs["platform"] != "" || native == "" || native == platforms.Format(platforms.Normalize(platforms.DefaultSpec()))
}
