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

// An Observed is a finished build: what is kept of it, and what it takes to
// find the repository and definition that it belongs to.
type Observed struct {
	// Record has no Repository and Definition yet.
	Record cache.Record
	Join   Join
	// Parts are the operations of the build, one part per platform; none if the
	// builder does not tell. They hold hashes over values: they stay in memory.
	Parts []Part `json:"-"`

	watched *observation
}

// Imports reports whether the build looked into a cache elsewhere.
func (o Observed) Imports() bool { return o.watched != nil && o.watched.imports }

// A Part is what the builder recorded of the operations of one platform.
type Part struct {
	// Plan has Ops, Results and Requests. Steps of an Op are indexes into the
	// record's.
	Plan *dockerfile.Plan
	// Fates are what became of Plan.Ops, and Runs when those that were executed or
	// loaded were, by the builder's clock.
	Fates []cache.Fate
	Runs  []Run
	// Lost says of a build that ended early which of the results that it made the
	// builder perhaps did not keep; nil for one that succeeded.
	Lost []bool
	// Traits are what the digests of Plan.Ops are made of, and Lines where they are
	// written, 0 if that is unknown. There are none of what [Solved.Part] tells.
	Traits [][]dockerfile.Trait
	Lines  []int
}

// A Run is a span of time; zero for what was not asked for.
type Run struct{ Started, Completed time.Time }

// Observe reads the finished build that ev reports. Steps of a build that
// succeeded have the instructions of its own Dockerfile as names; for one that
// failed the builder keeps no Dockerfile, and names are "[build 3/7] RUN" until
// [Observed.Describe] is told the rest.
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
	o := observation{seen: seen, prov: prov, status: statusOf(ev), imports: importsCache(ev, seen), plain: plainly(ev, b.platform()), created: ev.Created}
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
	if o.status == cache.Broken {
		record.Error = o.failure(ev)
	}
	return Observed{Record: record, Join: b.join(ev, o), Parts: o.parts(), watched: &o}, nil
}

// Unname cuts what the steps are down to their keywords: for a Dockerfile that had
// values of the environment put into its text before the builder saw it.
// [Observed.Describe] then adds the text that may be shown.
func (o *Observed) Unname() {
	steps := slices.Clone(o.Record.Steps)
	for i, s := range steps {
		prefix, instruction, _ := strings.Cut(s.Name, "] ")
		keyword, rest, _ := strings.Cut(instruction, " ")
		if keyword == "ONBUILD" { // the base image's, which no environment changes
			continue
		}
		if rest != "" {
			steps[i].Name = prefix + "] " + keyword
		}
		steps[i].Line = 0
	}
	o.Record.Steps = steps
}

// Describe completes the steps whose instruction the builder does not know:
// lookup is asked for the instruction as the Dockerfile writes it, and for its
// line.
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

func statusOf(ev Event) cache.Status {
	switch e := ev.record.Error; {
	case e == nil || codes.Code(e.Code) == codes.OK:
		return cache.Completed
	case codes.Code(e.Code) == codes.Canceled, strings.HasSuffix(e.Message, "context canceled"):
		return cache.Canceled
	}
	return cache.Broken
}

func importsCache(ev Event, seen *replay) bool {
	if ev.record.FrontendAttrs["cache-imports"] != "" || ev.record.FrontendAttrs["cache-from"] != "" {
		return true
	}
	for _, v := range seen.vertices {
		if strings.HasPrefix(v.Name, "importing cache manifest") {
			return true
		}
	}
	return false
}

// An observation puts a build's vertices and its steps together.
type observation struct {
	seen    *replay
	prov    []provenance
	status  cache.Status
	imports bool
	plain   bool // a plan can say all that its keys hold
	created time.Time

	labels map[string]label // of the steps' vertices, by digest
	groups []*group         // the steps
	byStep map[string]int
}

// A group is the vertices of one step: those of one prefix.
type group struct {
	label
	digests []string
	text    string // the instruction as the Dockerfile writes it; "" if unknown
	line    int
	place   int // order of first appearance
}

// own reports whether the vertex is part of this build. A status stream also
// holds those of other builds that ran the same operations at that moment.
func (o *observation) own(digest string) bool {
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

func (o *observation) collect() {
	o.byStep = map[string]int{}
	found := o.locate()
	o.labels = relabel(found)
	for i, f := range found {
		l := o.labels[f.digest]
		at, known := o.byStep[l.prefix]
		if !known {
			at = len(o.groups)
			o.byStep[l.prefix] = at
			o.groups = append(o.groups, &group{label: l, place: i})
		}
		g := o.groups[at]
		g.digests = append(g.digests, f.digest)
		if g.line == 0 {
			g.text, g.line = f.text, f.line
		}
	}
	o.sort()
}

// locate finds the vertices of this build's steps, with their places in the
// Dockerfile.
func (o *observation) locate() []located {
	var found []located
	places := locator{prov: o.prov, files: map[string]map[int]string{}}
	for _, digest := range o.seen.order {
		l, ok := parseLabel(o.seen.vertices[digest].Name)
		if ok && l.step() && o.own(digest) {
			found = append(found, places.locate(digest, l))
		}
	}
	return found
}

// sort puts steps in the order of the Dockerfile where that is known.
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

// steps classifies the steps and gives each its times.
func (o *observation) steps() []cache.Step {
	foreign := o.foreign()
	index := make(map[string]int, len(o.seen.order))
	for i, digest := range o.seen.order {
		index[digest] = i
	}
	vertices := make([]cache.Vertex, len(o.seen.order))
	for i, digest := range o.seen.order {
		vertices[i] = o.facts(digest, index, foreign)
	}
	outcomes := cache.Classify(vertices, len(o.groups), o.status)
	steps := make([]cache.Step, len(o.groups))
	for i, g := range o.groups {
		s := cache.Step{
			Name: g.prefix + " " + cmp.Or(g.text, g.keyword), Stage: g.stage, Platform: g.platform,
			Index: g.index, Total: g.total, Line: g.line, Outcome: outcomes[i],
		}
		if s.Outcome.Ran() {
			for _, digest := range g.digests {
				v := o.seen.vertices[digest]
				s.Seconds += v.seconds()
				if v.Started != nil && (s.Started.IsZero() || v.Started.Before(s.Started)) {
					s.Started = *v.Started
				}
			}
		}
		steps[i] = s
	}
	return steps
}

// foreign returns the names of what other builds were running and gave this one. What
// had come to its end before this one began was there, as any result is.
func (o *observation) foreign() map[string]bool {
	names := map[string]bool{}
	for digest, v := range o.seen.vertices {
		if o.own(digest) || v.Started == nil || v.Cached || v.Error != "" {
			continue
		}
		if v.Completed == nil && o.status == cache.Completed || v.Completed != nil && v.Completed.After(o.created) {
			names[v.Name] = true
		}
	}
	return names
}

func (o *observation) facts(digest string, index map[string]int, foreign map[string]bool) cache.Vertex {
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
		f.Source = true // another build's: not ours to classify
	case len(v.Inputs) == 0:
		f.Source = true
	}
	return f
}

// keyless reports whether a vertex failed as its key was worked out: COPY names files that
// are not there (BuildKit: solver/llbsolver/ops/opsutils, NewContentHashFunc).
func keyless(text string) bool {
	return strings.HasPrefix(text, "failed to calculate checksum of ref ")
}

// downloads reports whether a vertex of a step only brings what the step takes in: that
// of ADD with an address goes by the step's name, and starts in every build.
func (o *observation) downloads(digest string) bool {
	v := o.seen.vertices[digest]
	if len(v.Inputs) > 0 || v.Error != "" {
		return false
	}
	return slices.ContainsFunc(o.groups[o.byStep[o.labels[digest].prefix]].digests, func(other string) bool {
		return slices.Contains(o.seen.vertices[other].Inputs, v.Digest)
	})
}

// failure names the step that failed as the Dockerfile has it.
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

func (ev Event) error() error {
	return status.Error(codes.Code(ev.record.Error.Code), ev.record.Error.Message)
}
