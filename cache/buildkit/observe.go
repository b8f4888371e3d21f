package buildkit

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/context/dockerfile"
)

// An Observed is a finished build: the record to be kept, and what helps to find the
// repository and definition that were built.
type Observed struct {
	// Record has no Repository and Definition yet.
	Record cache.Record
	Join   Join
	// Parts are the operations of the build, one part per platform; none if the
	// builder recorded none. They contain hashes over values of args and must stay
	// in memory.
	Parts []Part `json:"-"`

	observation *observation // nil in an Observed that [Builder.Observe] did not make
}

// Imports reports whether the build was given a remote cache to read.
func (o Observed) Imports() bool { return o.observation != nil && o.observation.imports }

// A Part has the operations of a build for one platform, and what became of them.
type Part struct {
	// Plan has only Ops, Results and Requests. Op.Steps are indexes into the steps
	// of the record.
	Plan *dockerfile.Plan
	// Fates say what became of each of Plan.Ops, and Runs when it was executed or
	// loaded, by the builder's clock.
	Fates []cache.Fate
	Runs  []Run
	// Lost says, for a build that ended early, which operations gave a result that
	// the builder may not have kept; nil for one that succeeded.
	Lost []bool
	// Traits are what the digests of Plan.Ops are made of. Lines are the lines of the
	// Dockerfile that they come from, 0 if unknown. [Solved.Part] leaves both nil.
	Traits [][]dockerfile.Trait
	Lines  []int
}

// A Run is a span of time; the zero Run is that of an operation that did not run.
type Run struct{ Started, Completed time.Time }

// newPart returns a Part of plan in which all operations are untouched.
func newPart(plan *dockerfile.Plan) Part {
	n := len(plan.Ops)
	return Part{Plan: plan, Fates: make([]cache.Fate, n), Runs: make([]Run, n)}
}

// set notes that operation i is vertex v, in a build that reads a remote cache if
// imports is true.
func (p *Part) set(i int, v *seenVertex, imports bool) {
	p.Fates[i] = v.fate(imports)
	if p.Fates[i] != cache.Untouched {
		p.Runs[i] = Run{*v.began, *v.Completed}
	}
}

// Observe reads the finished build that ev reports. If it succeeded, its steps are
// named by the instructions of its own Dockerfile. For a build that failed the
// builder keeps no Dockerfile, and a step is named "[build 3/7] RUN" until
// [Observed.Describe] adds the rest.
func (b *Builder) Observe(ctx context.Context, ev Event) (Observed, error) {
	if ev.record == nil || ev.Type != Complete {
		return Observed{}, fmt.Errorf("observe build: %s is not complete", ev.Ref)
	}
	seen, err := b.replayStatus(ctx, ev.Ref)
	if err != nil {
		return Observed{}, err
	}
	prov, err := b.provenances(ctx, ev.record)
	if err != nil {
		return Observed{}, err
	}
	o := observation{
		seen: seen, prov: prov, status: statusOf(ev), created: ev.Created,
		imports: importsCache(ev, seen), plain: isPlain(ev, b.platform()),
	}
	o.collect()
	record := cache.Record{
		Builder:    b.info.Name,
		Ref:        ev.Ref,
		Generation: ev.Generation,
		Status:     o.status,
		Created:    ev.Created,
		Completed:  ev.Completed,
		Steps:      o.steps(),
	}
	record.Remote = o.remoteUse(record.Steps)
	if o.status == cache.Broken {
		record.Error = o.failure(ev)
	}
	return Observed{Record: record, Join: b.join(ev, o), Parts: o.parts(), observation: &o}, nil
}

// Unname reduces the names of steps to prefix and keyword. It is for a Dockerfile into
// whose text a client put values of its environment, which must not be shown.
// [Observed.Describe] then adds the text that may be shown.
func (o *Observed) Unname() {
	steps := slices.Clone(o.Record.Steps)
	for i, s := range steps {
		prefix, instruction, _ := strings.Cut(s.Name, "] ")
		keyword, rest, _ := strings.Cut(instruction, " ")
		if keyword == "ONBUILD" {
			continue // a trigger of the base image is not in the client's text
		}
		if rest != "" {
			steps[i].Name = prefix + "] " + keyword
		}
		steps[i].Line = 0
	}
	o.Record.Steps = steps
}

// Describe completes the steps whose instruction is not known from the builder.
// lookup returns the instruction of a step as the Dockerfile writes it, and its line;
// false if it does not know either.
func (o *Observed) Describe(lookup func(cache.Step) (instruction string, line int, ok bool)) {
	steps := slices.Clone(o.Record.Steps)
	for i, s := range steps {
		if s.Line > 0 {
			continue
		}
		if text, line, ok := lookup(s); ok {
			prefix, _, _ := strings.Cut(s.Name, "] ")
			steps[i].Name, steps[i].Line = prefix+"] "+text, line
		}
	}
	o.Record.Steps = steps
}

// statusOf says how the build ended.
func statusOf(ev Event) cache.Status {
	switch e := ev.record.Error; {
	case e == nil || codes.Code(e.Code) == codes.OK:
		return cache.Completed
	case codes.Code(e.Code) == codes.Canceled, strings.HasSuffix(e.Message, "context canceled"):
		return cache.Canceled
	}
	return cache.Broken
}

// importsCache reports whether the build was given a remote cache to read.
func importsCache(ev Event, seen *replay) bool {
	if ev.record.FrontendAttrs["cache-imports"] != "" || ev.record.FrontendAttrs["cache-from"] != "" {
		return true
	}
	for _, v := range seen.vertices {
		if v.importsCache() {
			return true
		}
	}
	return false
}

// An observation derives the steps of a build from its vertices.
type observation struct {
	seen    *replay
	prov    []provenance // one per platform; none for a build that failed
	status  cache.Status
	imports bool // it was given a remote cache
	plain   bool // see isPlain
	created time.Time

	// Set by collect.
	labels map[string]label // digest of a step's vertex → label
	groups []*group         // the steps, in the order of the record
	byStep map[string]int   // label.prefix → index into groups
}

// A group has the vertices of one step, which all have the same prefix.
type group struct {
	label
	digests []string
	text    string // the instruction as the Dockerfile writes it; "" if unknown
	line    int    // where it begins; 0 if unknown
}

// owns reports whether the vertex is part of this build, as far as that is known. The
// status stream of a build also has vertices of other builds that ran the same
// operations at the time.
func (o *observation) owns(digest string) bool {
	if len(o.prov) == 0 {
		return true
	}
	for _, p := range o.prov {
		if _, ok := p.config.DigestMapping[digest]; ok {
			return true
		}
	}
	return false
}

// collect groups the vertices by steps.
func (o *observation) collect() {
	o.byStep = map[string]int{}
	found := o.locate()
	o.labels = relabel(found, func(at sourceLine) bool { return o.prov[at.platform].makes(at.line) })
	for _, f := range found {
		l := o.labels[f.digest]
		at, known := o.byStep[l.prefix]
		if !known {
			at = len(o.groups)
			o.byStep[l.prefix] = at
			o.groups = append(o.groups, &group{label: l})
		}
		g := o.groups[at]
		g.digests = append(g.digests, f.digest)
		if g.line == 0 {
			g.text, g.line = f.text, f.line
		}
	}
	o.sort()
}

// locate finds the vertices of this build's steps, in the order in which the builder
// reported them, and the instructions that they come from.
func (o *observation) locate() []located {
	var found []located
	places := locator{prov: o.prov, files: map[string]map[int]string{}}
	for _, digest := range o.seen.order {
		l, ok := parseLabel(o.seen.vertices[digest].Name)
		if ok && l.step() && o.owns(digest) {
			found = append(found, places.locate(digest, l))
		}
	}
	return found
}

// sort orders the steps: within a stage by number, otherwise as the Dockerfile has
// them if their lines are known, else by the first appearance of their stage.
func (o *observation) sort() {
	stages := map[string]int{}
	for _, g := range o.groups {
		id := g.platform + " " + g.stage
		if _, ok := stages[id]; !ok {
			stages[id] = len(stages)
		}
	}
	slices.SortStableFunc(o.groups, func(a, b *group) int {
		if a.platform == b.platform && a.stage == b.stage {
			return cmp.Compare(a.index, b.index)
		}
		if a.line > 0 && b.line > 0 && a.line != b.line {
			return cmp.Compare(a.line, b.line)
		}
		if a.line > 0 && a.line == b.line {
			return cmp.Compare(a.platform, b.platform)
		}
		return cmp.Compare(stages[a.platform+" "+a.stage], stages[b.platform+" "+b.stage])
	})
	for i, g := range o.groups {
		o.byStep[g.prefix] = i
	}
}

// steps returns the steps of the record, with their outcomes and times.
func (o *observation) steps() []cache.Step {
	outcomes := cache.Classify(o.vertices(), len(o.groups), o.status)
	steps := make([]cache.Step, len(o.groups))
	for i, g := range o.groups {
		steps[i] = cache.Step{
			Name: g.prefix + " " + cmp.Or(g.text, g.keyword), Stage: g.stage, Platform: g.platform,
			Index: g.index, Total: g.total, Line: g.line, Outcome: outcomes[i],
		}
		if outcomes[i].Ran() {
			steps[i].Started, steps[i].Seconds = o.times(g)
		}
	}
	return steps
}

// times returns when the first vertex of a step started, zero if none did, and for how
// long its vertices ran in sum.
func (o *observation) times(g *group) (started time.Time, seconds float64) {
	for _, digest := range g.digests {
		v := o.seen.vertices[digest]
		seconds += v.seconds()
		if v.Started != nil && (started.IsZero() || v.Started.Before(started)) {
			started = *v.Started
		}
	}
	return started, seconds
}

// vertices returns all vertices, in the order in which the builder reported them, in
// the form that [cache.Classify] takes.
func (o *observation) vertices() []cache.Vertex {
	foreign := o.foreign()
	index := make(map[string]int, len(o.seen.order))
	for i, digest := range o.seen.order {
		index[digest] = i
	}
	list := make([]cache.Vertex, len(o.seen.order))
	for i, digest := range o.seen.order {
		list[i] = o.vertex(digest, index, foreign)
	}
	return list
}

// foreign returns the names of vertices that another build ran while this one was
// under way. What had ended before this one began is a result in the cache like any
// other.
func (o *observation) foreign() map[string]bool {
	names := map[string]bool{}
	for digest, v := range o.seen.vertices {
		if o.owns(digest) || v.Started == nil || v.Cached || v.Error != "" {
			continue
		}
		if v.Completed == nil && o.status == cache.Completed || v.Completed != nil && v.Completed.After(o.created) {
			names[v.Name] = true
		}
	}
	return names
}

// vertex returns one vertex. index has the positions of all, and foreign is what the
// method of that name returns.
func (o *observation) vertex(digest string, index map[string]int, foreign map[string]bool) cache.Vertex {
	v := o.seen.vertices[digest]
	f := cache.Vertex{
		Step:      -1,
		Started:   v.Started != nil,
		Completed: v.Completed != nil,
		Cached:    v.Cached,
		Inferred:  v.inferred(),
		Canceled:  v.canceled(),
		Failed:    v.Error != "" && !v.canceled(),
		Keyless:   keyless(v.Error),
		Fetched:   o.imports && v.pulled && !v.logged && !v.Cached,
		Joined:    (v.Started == nil || v.inferred()) && foreign[v.Name],
	}
	for _, in := range v.Inputs {
		if i, ok := index[in.String()]; ok {
			f.Inputs = append(f.Inputs, i)
		}
	}
	l, ok := parseLabel(v.Name)
	own, isStep := o.labels[digest]
	switch {
	case isStep && o.downloads(digest):
		f.Source = true
	case isStep:
		f.Step = o.byStep[own.prefix]
	case ok && l.step():
		f.Source = true // a step of another build, which gets no outcome here
	case len(v.Inputs) == 0:
		f.Source = true
	}
	return f
}

// keyless reports whether a vertex failed with err before it had a key, as COPY does if
// a file is missing (BuildKit: solver/llbsolver/ops/opsutils, NewContentHashFunc).
func keyless(err string) bool {
	return strings.HasPrefix(err, "failed to calculate checksum of ref ")
}

// downloads reports whether a step's vertex is the download of an ADD from a URL. It
// has the name of the step, and starts in every build.
func (o *observation) downloads(digest string) bool {
	v := o.seen.vertices[digest]
	if len(v.Inputs) > 0 || v.Error != "" {
		return false
	}
	return slices.ContainsFunc(o.groups[o.byStep[o.labels[digest].prefix]].digests, func(other string) bool {
		return slices.Contains(o.seen.vertices[other].Inputs, v.Digest)
	})
}

// failure says which step failed and how, in words without values.
func (o *observation) failure(ev Event) string {
	for _, g := range o.groups {
		for _, digest := range g.digests {
			v := o.seen.vertices[digest]
			if v.Error != "" && !v.canceled() {
				return fmt.Sprintf("%s %s failed%s", g.prefix, g.keyword, kindOf(v.Error, codes.Unknown))
			}
		}
	}
	return o.seen.failure(ev.error())
}

// error returns the error that the builder recorded for the build.
func (ev Event) error() error {
	return status.Error(codes.Code(ev.record.Error.Code), ev.record.Error.Message)
}
