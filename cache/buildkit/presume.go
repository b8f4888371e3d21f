package buildkit

import (
	"slices"
	"strings"
	"time"

	"github.com/containerd/platforms"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/context/dockerfile"
)

// Presume returns what became of the operations of plan in a build that did not
// succeed. The builder records no operations of such a build, so they are recognised
// by the names of its vertices.
//
// plan must have been made with the args and the target that the client gave. Presume
// returns false unless the build was certainly of plan: every step has a vertex with
// exactly the name that plan gives it, values included, no step is left over, and the
// base images and the options that go into keys are those of plan.
func (o Observed) Presume(plan *dockerfile.Plan) (Part, bool) {
	obs := o.observation
	if obs == nil || !obs.plain || len(obs.groups) == 0 || plan.Syntax != "" || len(plan.Assumed)+len(plan.Remembered) > 0 {
		return Part{}, false
	}
	presumed := *plan
	presumed.Ops = slices.Clone(plan.Ops)
	part := newPart(&presumed)
	part.Lost, part.Lines = make([]bool, len(plan.Ops)), make([]int, len(plan.Ops))
	part.Traits = make([][]dockerfile.Trait, len(plan.Ops))

	lost := obs.seen.lost()
	m := newOpMatcher(obs, plan)
	for i, op := range plan.Ops {
		part.Traits[i] = op.Traits
		if op.Source != nil && !m.matchSource(op) {
			return Part{}, false
		}
		if len(op.Steps) == 0 {
			part.Runs[i].Started = m.asked(op)
			continue
		}
		part.Lines[i] = plan.Steps[op.Steps[0]].Lines.From
		v, step := m.matchStep(op)
		if v == nil {
			return Part{}, false
		}
		presumed.Ops[i].Steps = []int{step}
		part.set(i, v, obs.imports)
		part.Lost[i] = part.Fates[i] == cache.Made && lost(v)
	}
	return part, len(m.unmatched) == 0
}

// An opMatcher finds the vertices of a build that are the operations of a plan, by
// their names.
type opMatcher struct {
	*observation
	plan      *dockerfile.Plan
	named     map[string][]string // name as in Op.Called → digests of vertices
	unmatched map[string]bool     // digests of steps' vertices that are no operation so far
}

func newOpMatcher(o *observation, plan *dockerfile.Plan) *opMatcher {
	m := &opMatcher{observation: o, plan: plan, named: map[string][]string{}, unmatched: map[string]bool{}}
	for digest, v := range o.seen.vertices {
		called := dockerfile.RecordOf(v.Name)
		m.named[called] = append(m.named[called], digest)
		if l, ok := parseLabel(v.Name); ok && l.step() {
			m.unmatched[digest] = true
		}
	}
	return m
}

// matchSource matches a source with its vertices. It returns false if the build did
// not use the image that op is.
func (m *opMatcher) matchSource(op dockerfile.Op) bool {
	if op.Source.Kind == dockerfile.ImageSource && m.named[op.Called] == nil {
		return false
	}
	// The download of an ADD from a URL has the name of its step.
	for _, digest := range m.named[op.Called] {
		if len(m.seen.vertices[digest].Inputs) == 0 {
			delete(m.unmatched, digest)
		}
	}
	return true
}

// asked returns when the builder first asked the client for the files of op; the zero time if
// that is not known, or op is no local source.
func (m *opMatcher) asked(op dockerfile.Op) (at time.Time) {
	if op.Source == nil || op.Source.Kind != dockerfile.LocalSource {
		return at
	}
	for _, digest := range m.named[op.Called] {
		if v := m.seen.vertices[digest]; v.began != nil && (at.IsZero() || v.began.Before(at)) {
			at = *v.began
		}
	}
	return at
}

// matchStep returns the vertex that is op, an operation of a step, and the index of
// the step in the record; nil if there is none. The download of an ADD and the ADD itself
// have the same name: only the latter has inputs.
func (m *opMatcher) matchStep(op dockerfile.Op) (v *seenVertex, step int) {
	for _, at := range op.Steps {
		want, _ := parseLabel(m.plan.Steps[at].Name)
		var found []*seenVertex
		for _, digest := range m.named[op.Called] {
			if l, ok := m.labels[digest]; ok && l.prefix == want.prefix {
				found = append(found, m.seen.vertices[digest])
			}
		}
		for _, v := range found {
			if len(found) == 1 || (len(v.Inputs) == 0) == (len(op.Inputs) == 0) {
				delete(m.unmatched, v.Digest.String())
				return v, m.byStep[want.prefix]
			}
		}
	}
	return nil, 0
}

// Skeleton returns the operations of a build as far as the names of vertices tell: what
// became of them, which step they are, and their inputs. They have no keys.
func (o Observed) Skeleton() []cache.Operation {
	obs := o.observation
	if obs == nil {
		return nil
	}
	index := map[string]int{}
	for _, digest := range obs.seen.order {
		if obs.owns(digest) {
			index[digest] = len(index)
		}
	}
	list := make([]cache.Operation, len(index))
	for digest, i := range index {
		v := obs.seen.vertices[digest]
		list[i].Fate = v.fate(obs.imports)
		if l, ok := obs.labels[digest]; ok {
			list[i].Steps = []int{obs.byStep[l.prefix]}
		}
		for _, in := range v.Inputs {
			if at, ok := index[in.String()]; ok {
				list[i].Inputs = append(list[i].Inputs, cache.Intake{Operation: at})
			}
		}
	}
	return list
}

// Attributes of a build that are in no key, or that a plan is made with: plainAttrs by
// name, plainPrefixes by how their names begin.
var (
	plainAttrs = []string{
		"filename", "target", "platform", "multi-platform", "no-cache", "cache-imports", "cache-from", "image-resolve-mode",
	}
	plainPrefixes = []string{"build-arg:", "label:", "vcs:", "attest:", "local-sessionid:"}
)

// isPlain reports whether a plan that is made with the args, the target and the
// platforms of a build has everything that goes into the build's keys. It has not if
// the client set a network or hosts, chose another frontend, or left the platform to
// a builder whose own, native, is not that of this machine.
func isPlain(ev Event, native string) bool {
	attrs := ev.record.FrontendAttrs
	if _, other := attrs["build-arg:BUILDKIT_SYNTAX"]; other {
		return false
	}
	for name := range attrs {
		hasPrefix := func(prefix string) bool { return strings.HasPrefix(name, prefix) }
		if !slices.Contains(plainAttrs, name) && !slices.ContainsFunc(plainPrefixes, hasPrefix) {
			return false
		}
	}
	return attrs["platform"] != "" || native == "" || native == platforms.Format(platforms.Normalize(platforms.DefaultSpec()))
}
