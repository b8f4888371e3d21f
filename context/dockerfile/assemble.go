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

// customName is where the frontend puts a vertex's name.
const customName = "llb.customname"

// stepPrefix is the start of a step's vertex name: "[linux/amd64 build  3/17] "
// (BuildKit: dockerfile2llb.prefixCommand).
var stepPrefix = regexp.MustCompile(`^\[(?:(.*\S) )?\s*(\d+)/(\d+)\] `)

// fromHistory is the start of what an image's history says of a step that a builder lists
// by its name.
var fromHistory = regexp.MustCompile(`^(?i:ADD|COPY|WORKDIR) `)

// An assembler turns converted definitions into the steps of a plan.
type assembler struct {
	plan         *Plan
	instructions map[int]string
	onBuild      map[string][]string
	guard        *guard
	images       map[imageID]Image // that are known
	native       ocispecs.Platform // of what asks for none
	ops          map[output]int    // indexes into plan.Ops
	locals       map[int]Request   // by the index of the operation
	texts        map[int]*pb.FileActionMkFile
	gave         map[string]string // what downloads gave, by address: see ReadRecording
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
	prefix string // "[build 3/7]", "" for what is no step
	step   int    // index into plan.Steps, -1 for none
	result bool   // it is what its step makes, and not only contributes to that

	ignoreCache bool
}

// A stepKey tells steps of one platform apart. Several operations may make up
// one (COPY --link); two stages may have one name.
type stepKey struct {
	prefix string
	line   Lines
}

// add reads the definition that was converted for one platform.
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

// definition identifies an operation without what it is applied to, after those
// of the same step that came before.
func definition(before string, op *pb.Op) string {
	plain := op.CloneVT()
	plain.Inputs = nil
	dt, err := plain.MarshalVT()
	if err != nil {
		return "" // never: it was decoded
	}
	return digest.FromString(before + string(dt)).String()
}

// decode returns def's operations, inputs before what needs them, and which
// result of them is the build's, nil for none.
func decode(def *pb.Definition) (ops []*vertex, head *pb.Input, err error) {
	for _, dt := range def.Def {
		op := &pb.Op{}
		if err := op.UnmarshalVT(dt); err != nil {
			return nil, nil, fmt.Errorf("decode operation: %w", err)
		}
		v := &vertex{dgst: digest.FromBytes(dt), op: op, step: -1}
		if op.Op == nil { // the vertex that returns the result
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

// lines returns where the operation is written. Equal instructions of two stages
// are one operation, under the name and at the last place of the one that was
// marshalled last (BuildKit: llb.mergeMetadata, sourceMapCollector.Add).
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

// newStep makes the step that v stands for. Its text comes from the Dockerfile
// and never from the vertex name, which carries the values of args.
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

// trigger returns the text of an ONBUILD step: the triggers come first in
// their stage, in the order of the base image's configuration. Where two base
// images may have it, the keyword must do.
func (a *assembler) trigger(s Step) string {
	done := 0
	for _, earlier := range a.plan.Steps {
		if earlier.OnBuild && earlier.Stage == s.Stage && earlier.Platform == s.Platform {
			done++
		}
	}
	var text []string
	for _, triggers := range a.onBuild {
		var executable []string
		for _, t := range triggers {
			switch strings.ToUpper(firstWord(t)) {
			case "RUN", "COPY", "ADD", "WORKDIR":
				executable = append(executable, t)
			}
		}
		if done < len(executable) && strings.EqualFold(firstWord(executable[done]), s.Keyword) {
			text = append(text, executable[done])
		}
	}
	if len(text) == 1 {
		return "ONBUILD " + text[0]
	}
	return "ONBUILD " + s.Keyword
}

func firstWord(text string) string {
	word, _, _ := strings.Cut(strings.TrimSpace(text), " ")
	return word
}

// keyword returns what kind of step v is where the operation alone tells.
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

// addSource notes what the definition reads from outside.
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

// request returns what src asks the client for, if it does; src may be nil.
func request(src *pb.SourceOp) (Request, bool) {
	name, ok := strings.CutPrefix(src.GetIdentifier(), "local://")
	return Request{
		Local:       name,
		FollowPaths: jsonList(src.GetAttrs()[pb.AttrFollowPaths]),
		Excludes:    jsonList(src.GetAttrs()[pb.AttrExcludePatterns]),
	}, ok
}

// addRequest keeps r unless another platform asked for the same.
func (a *assembler) addRequest(r Request) {
	if !slices.ContainsFunc(a.plan.Requests, r.same) {
		a.plan.Requests = append(a.plan.Requests, r)
	}
}

func (r Request) same(other Request) bool {
	return r.Local == other.Local && slices.Equal(r.FollowPaths, other.FollowPaths)
}

// jsonList decodes a list as llb.Local writes it; "" is nil.
func jsonList(attr string) []string {
	var list []string
	if json.Unmarshal([]byte(attr), &list) != nil {
		return nil
	}
	return list
}

// takes returns what op reads of local contexts.
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
		if name, ok := local(action.Input); ok { // a stage FROM a named context
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

// relative maps a source path of the frontend, which is rooted, to one relative
// to the context.
func relative(src string) string {
	return cmp.Or(strings.TrimPrefix(path.Clean("/"+src), "/"), ".")
}

// finish brings the steps into the order of the Dockerfile.
func (a *assembler) finish() {
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
	moved := make([]int, len(steps))
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
