package dockerfile

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/buildkit/solver/pb"
	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// customName is the metadata key under which the frontend puts the name of a vertex.
const customName = "llb.customname"

// stepPrefix matches the beginning of the name of a step's vertex: "[linux/amd64 build
// 3/17] " (BuildKit: dockerfile2llb.prefixCommand).
var stepPrefix = regexp.MustCompile(`^\[(?:(.*\S) )?\s*(\d+)/(\d+)\] `)

// fromHistory matches the beginning of an image's history entry for a step whose result
// a builder lists by the name of the step.
var fromHistory = regexp.MustCompile(`^(?i:ADD|COPY|WORKDIR) `)

// An assembler makes the steps and operations of a plan out of converted definitions:
// add for each platform, then finish.
type assembler struct {
	plan         *Plan
	instructions map[int]string      // of the Dockerfile, by line
	onBuild      map[string][]string // image -> its ONBUILD triggers
	guard        *guard
	images       map[imageID]Image // that the resolver knows
	native       ocispecs.Platform // the builder's default platform

	ops     map[output]int               // indexes into plan.Ops
	locals  map[int]Request              // index into plan.Ops of a local source -> its request
	texts   map[int]*pb.FileActionMkFile // index into plan.Ops -> the heredoc that it writes
	fetched map[string]string            // address of a source -> digest of what was fetched: see ReadRecording
}

func newAssembler(plan *Plan, instructions map[int]string, gw *gateway) *assembler {
	return &assembler{
		plan: plan, instructions: instructions, onBuild: gw.onBuild, guard: gw.guard, images: gw.images, native: gw.native(),
		ops: map[output]int{}, locals: map[int]Request{},
	}
}

// A vertex is one operation of a definition.
type vertex struct {
	dgst   digest.Digest
	op     *pb.Op
	name   string
	line   Lines
	prefix string // "[build 3/7]"; "" if it is not of a step
	step   int    // index into plan.Steps; -1 for none
	result bool   // it is the last of its step's vertices, whose result is that of the step

	ignoreCache bool
}

// A stepKey identifies a step among those of one platform. The prefix alone does not,
// since two stages may have the same name. Several vertices can have one key: COPY
// --link is a copy and a merge.
type stepKey struct {
	prefix string
	line   Lines
}

// add adds what a definition, which was converted for platform, consists of.
func (a *assembler) add(ctx context.Context, platform string, def *pb.Definition) error {
	vertices, head, err := decode(def)
	if err != nil {
		return err
	}
	steps := map[stepKey]int{} // index of the step that the vertices share
	for _, v := range vertices {
		a.guard.restore(v)
		a.addSource(v)
		if v.prefix == "" || v.op.GetSource() != nil {
			continue
		}
		key := stepKey{v.prefix, v.line}
		i, ok := steps[key]
		if !ok {
			i = len(a.plan.Steps)
			steps[key] = i
			a.plan.Steps = append(a.plan.Steps, a.newStep(v, platform))
		}
		v.step = i
		s := &a.plan.Steps[i]
		s.Digest = v.dgst.String()
		s.Definition = definition(s.Definition, v.op)
		s.Takes = append(s.Takes, takes(v.op, vertices)...)
	}
	a.link(vertices)
	a.markFinal(vertices, digest.Digest(head.GetDigest()))
	return a.addOps(ctx, vertices, head)
}

// definition returns a digest of the operations of a step without their inputs. before
// is that of the earlier operations, op the next.
func definition(before string, op *pb.Op) string {
	plain := op.CloneVT()
	plain.Inputs = nil
	dt, err := plain.MarshalVT()
	if err != nil {
		return "" // cannot happen: op was decoded
	}
	return digest.FromString(before + string(dt)).String()
}

// decode returns the operations of def, in an order in which inputs come first. head is
// the one whose result is that of the build; nil if the build has none.
func decode(def *pb.Definition) (ops []*vertex, head *pb.Input, err error) {
	for _, dt := range def.Def {
		op := &pb.Op{}
		if err := op.UnmarshalVT(dt); err != nil {
			return nil, nil, fmt.Errorf("decode operation: %w", err)
		}
		v := &vertex{dgst: digest.FromBytes(dt), op: op, step: -1}
		if op.Op == nil { // the last vertex, which only names the result
			if len(op.Inputs) > 0 {
				head = op.Inputs[0]
			}
			continue
		}
		if meta := def.Metadata[string(v.dgst)]; meta != nil {
			v.name, v.ignoreCache = meta.Description[customName], meta.IgnoreCache
		}
		if m := stepPrefix.FindString(v.name); m != "" {
			v.prefix = strings.TrimSpace(m)
		}
		v.line = lines(def.Source, v.dgst)
		ops = append(ops, v)
	}
	return ops, head, nil
}

// lines returns the lines of the Dockerfile that an operation comes from. Equal
// instructions of two stages are one operation, which has the name of the one that was
// marshalled last; the last location belongs to it (BuildKit: llb.mergeMetadata,
// sourceMapCollector.Add).
func lines(src *pb.Source, dgst digest.Digest) Lines {
	if src == nil || src.Locations[string(dgst)] == nil {
		return Lines{}
	}
	for _, loc := range slices.Backward(src.Locations[string(dgst)].Locations) {
		if n := len(loc.Ranges); n > 0 && loc.Ranges[0].Start != nil {
			return Lines{int(loc.Ranges[0].Start.Line), int(loc.Ranges[n-1].End.GetLine())}
		}
	}
	return Lines{}
}

// newStep returns the step of v. Its text comes from the Dockerfile, never from the
// name of the vertex, which contains values of args.
func (a *assembler) newStep(v *vertex, platform string) Step {
	m := stepPrefix.FindStringSubmatch(v.name)
	s := Step{Platform: platform, Lines: v.line, Keyword: keyword(v), Base: -1}
	s.Index, _ = strconv.Atoi(m[2])
	s.Total, _ = strconv.Atoi(m[3])
	label := m[1]
	if platform != "" {
		_, label, _ = strings.Cut(label, " ") // "linux/amd64->arm64 build" or "linux/amd64"
	}
	s.Stage = label
	rest := strings.TrimPrefix(v.name, m[0])
	if after, ok := strings.CutPrefix(rest, "ONBUILD "); ok {
		s.OnBuild = true
		s.Keyword, _, _ = strings.Cut(after, " ")
		s.Instruction = a.trigger(s)
	} else {
		s.Instruction = a.instructions[v.line.From]
	}
	if s.Keyword == "" {
		s.Keyword, _, _ = strings.Cut(strings.TrimPrefix(s.Instruction, "ONBUILD "), " ")
	}
	s.Name = v.prefix + " " + s.Instruction
	return s
}

// trigger returns the text of s, the step of an ONBUILD trigger. Triggers are the first
// steps of their stage, in the order of the base image's configuration. If several base
// images have a trigger that s may be, the text is only its keyword.
func (a *assembler) trigger(s Step) string {
	position := 0 // among the triggers of the stage
	for _, earlier := range a.plan.Steps {
		if earlier.OnBuild && earlier.Stage == s.Stage && earlier.Platform == s.Platform {
			position++
		}
	}
	var texts []string
	for _, triggers := range a.onBuild {
		var executable []string
		for _, t := range triggers {
			switch strings.ToUpper(firstWord(t)) {
			case "RUN", "COPY", "ADD", "WORKDIR":
				executable = append(executable, t)
			}
		}
		if position < len(executable) && strings.EqualFold(firstWord(executable[position]), s.Keyword) {
			texts = append(texts, executable[position])
		}
	}
	if len(texts) == 1 {
		return "ONBUILD " + texts[0]
	}
	return "ONBUILD " + s.Keyword
}

func firstWord(text string) string {
	word, _, _ := strings.Cut(strings.TrimSpace(text), " ")
	return word
}

// keyword returns the keyword of the step of v, "" if the operation does not tell.
func keyword(v *vertex) string {
	if v.op.GetExec() != nil {
		return "RUN"
	}
	for _, action := range v.op.GetFile().GetActions() {
		if action.GetMkdir() != nil {
			return "WORKDIR"
		}
	}
	return ""
}

// addSource adds a source to the requests or the bases of the plan.
func (a *assembler) addSource(v *vertex) {
	src := v.op.GetSource()
	if src == nil {
		return
	}
	if r, ok := request(src); ok {
		a.addRequest(r)
	}
	if ref, ok := strings.CutPrefix(src.Identifier, "docker-image://"); ok {
		b := Base{Ref: ref, Line: v.line.From}
		if p := v.op.Platform; p != nil {
			b.Platform = path.Join(p.OS, p.Architecture, p.Variant)
		}
		if !slices.Contains(a.plan.Bases, b) {
			a.plan.Bases = append(a.plan.Bases, b)
		}
	}
}

// request returns what src requests from the client, false if it is not a local source.
// src may be nil.
func request(src *pb.SourceOp) (Request, bool) {
	name, ok := strings.CutPrefix(src.GetIdentifier(), "local://")
	return Request{
		Local:       name,
		FollowPaths: jsonList(src.GetAttrs()[pb.AttrFollowPaths]),
		Excludes:    jsonList(src.GetAttrs()[pb.AttrExcludePatterns]),
	}, ok
}

// addRequest adds r to the plan, unless another platform requests the same.
func (a *assembler) addRequest(r Request) {
	if !slices.ContainsFunc(a.plan.Requests, r.same) {
		a.plan.Requests = append(a.plan.Requests, r)
	}
}

// same reports whether both request the same files.
func (r Request) same(other Request) bool {
	return r.Local == other.Local && slices.Equal(r.FollowPaths, other.FollowPaths)
}

// jsonList decodes a list that llb.Local encoded; nil if it is none.
func jsonList(attr string) []string {
	var list []string
	if json.Unmarshal([]byte(attr), &list) != nil {
		return nil
	}
	return list
}

// takes returns what op reads from local contexts.
func takes(op *pb.Op, vertices []*vertex) []Take {
	local := func(input int64) (string, bool) {
		if input < 0 || int(input) >= len(op.Inputs) {
			return "", false
		}
		i := slices.IndexFunc(vertices, func(v *vertex) bool { return string(v.dgst) == op.Inputs[input].Digest })
		if i < 0 {
			return "", false
		}
		return strings.CutPrefix(vertices[i].op.GetSource().GetIdentifier(), "local://")
	}
	var list []Take
	for _, action := range op.GetFile().GetActions() {
		if name, ok := local(action.Input); ok { // the stage is FROM a named context
			list = append(list, Take{Local: name, Path: ".", Dest: "/"})
		}
		cp := action.GetCopy()
		if cp == nil {
			continue
		}
		if name, ok := local(action.SecondaryInput); ok {
			list = append(list, Take{
				Local: name, Path: relative(cp.Src), Dest: cp.Dest, Wildcard: cp.AllowWildcard,
				Include: cp.IncludePatterns, Exclude: cp.ExcludePatterns,
			})
		}
	}
	for _, m := range op.GetExec().GetMounts() {
		if name, ok := local(m.Input); ok {
			list = append(list, Take{Local: name, Path: relative(m.Selector), Dest: m.Dest, Mount: m.Dest != pb.RootMount})
		}
	}
	return list
}

// relative returns the path relative to the context of a source, which the frontend
// writes as an absolute path.
func relative(src string) string {
	return cmp.Or(strings.TrimPrefix(path.Clean("/"+src), "/"), ".")
}

// finish brings everything into its final order: steps that of the Dockerfile, requests
// and bases one that does not depend on the order of conversion.
func (a *assembler) finish() {
	a.sortSteps()
	slices.SortFunc(a.plan.Requests, func(x, y Request) int {
		return cmp.Or(cmp.Compare(x.Local, y.Local), slices.Compare(x.FollowPaths, y.FollowPaths))
	})
	for i, r := range a.locals {
		a.plan.Ops[i].Source.Request = slices.IndexFunc(a.plan.Requests, r.same)
	}
	slices.SortFunc(a.plan.Bases, func(x, y Base) int {
		return cmp.Or(cmp.Compare(x.Line, y.Line), cmp.Compare(x.Ref, y.Ref), cmp.Compare(x.Platform, y.Platform))
	})
}

// sortSteps sorts the steps by platform and line, and renumbers what refers to them.
func (a *assembler) sortSteps() {
	steps := a.plan.Steps
	order := make([]int, len(steps))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(x, y int) int {
		return cmp.Or(
			cmp.Compare(steps[x].Platform, steps[y].Platform),
			cmp.Compare(steps[x].Lines.From, steps[y].Lines.From),
			cmp.Compare(steps[x].Index, steps[y].Index),
		)
	})
	moved := make([]int, len(steps)) // old index -> new index
	for to, from := range order {
		moved[from] = to
	}
	sorted := make([]Step, len(steps))
	for to, from := range order {
		s := steps[from]
		for i, p := range s.Parents {
			s.Parents[i] = moved[p]
		}
		slices.Sort(s.Parents)
		if s.Base >= 0 {
			s.Base = moved[s.Base]
		}
		for i := range s.From {
			s.From[i].Step = moved[s.From[i].Step]
		}
		sorted[to] = s
	}
	a.plan.Steps = sorted
	for _, op := range a.plan.Ops {
		for i, s := range op.Steps {
			op.Steps[i] = moved[s]
		}
		slices.Sort(op.Steps)
	}
}
