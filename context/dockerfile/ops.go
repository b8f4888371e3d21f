package dockerfile

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/moby/buildkit/solver/pb"
)

// An output is one result of an operation of a definition.
type output struct {
	dgst  string
	index int64
}

// addOps adds the operations that were converted for one platform to the plan, one for
// each output that is used, and the result head. Operations that another platform has
// too are added once.
func (a *assembler) addOps(ctx context.Context, vertices []*vertex, head *pb.Input) error {
	used := usedOutputs(vertices, head)
	for _, v := range vertices {
		for _, index := range used[string(v.dgst)] {
			i, err := a.addOp(ctx, v, index)
			if err != nil {
				return err
			}
			if op := &a.plan.Ops[i]; v.step >= 0 && !slices.Contains(op.Steps, v.step) {
				op.Steps = append(op.Steps, v.step)
			}
		}
	}
	if head != nil {
		a.plan.Results = append(a.plan.Results, a.ops[output{head.Digest, head.Index}])
	}
	return nil
}

// usedOutputs returns the indexes of the outputs that are an input of some vertex, or
// head, by the digest of the vertex that has them.
func usedOutputs(vertices []*vertex, head *pb.Input) map[string][]int64 {
	used := map[string][]int64{}
	use := func(in *pb.Input) {
		if !slices.Contains(used[in.Digest], in.Index) {
			used[in.Digest] = append(used[in.Digest], in.Index)
		}
	}
	for _, v := range vertices {
		for _, in := range v.op.Inputs {
			use(in)
		}
	}
	if head != nil {
		use(head)
	}
	return used
}

// addOp adds the operation for an output of v, unless the plan has it, and returns its
// index.
func (a *assembler) addOp(ctx context.Context, v *vertex, index int64) (int, error) {
	id := output{string(v.dgst), index}
	if i, ok := a.ops[id]; ok {
		return i, nil
	}
	op, err := a.newOp(ctx, v, int(index))
	if err != nil {
		return 0, err
	}
	i := len(a.plan.Ops)
	a.ops[id] = i
	a.plan.Ops = append(a.plan.Ops, op)
	if r, ok := request(v.op.GetSource()); ok {
		a.locals[i] = r
	}
	if text := heredoc(v.op); text != nil && a.platform(v.op).OS == "linux" {
		if a.texts == nil {
			a.texts = map[int]*pb.FileActionMkFile{}
		}
		a.texts[i] = text
	}
	return i, nil
}

// record returns Op.Record for v.
func (v *vertex) record() string {
	switch exec := v.op.GetExec(); {
	case exec != nil:
		return RecordOf("mount / from exec " + strings.Join(exec.GetMeta().GetArgs(), " "))
	case v.name != "":
		return RecordOf(v.name)
	}
	return ""
}

// newOp returns the operation for an output of v, whose inputs have been added.
func (a *assembler) newOp(ctx context.Context, v *vertex, index int) (Op, error) {
	op := Op{Output: index, IgnoreCache: v.ignoreCache}
	if v.name != "" {
		op.Called = RecordOf(v.name)
	}
	if src := v.op.GetSource(); src != nil {
		op.Source, op.Digest = a.source(v)
		return op, nil
	}
	cm, err := cacheMap(ctx, v, a.platform(v.op))
	if err != nil {
		return Op{}, fmt.Errorf("key of %s: %w", v.prefix, err) // v.name contains values of args
	}
	op.Digest, op.Record, op.Traits, op.form = cm.Digest.String(), v.record(), traits(v.op), formOf(v.op)
	for i, in := range v.op.Inputs {
		input := OpInput{Op: a.ops[output{in.Digest, in.Index}], Selector: cm.Deps[i].Selector.String()}
		if cm.Deps[i].ComputeDigestFunc != nil {
			input.Content = selectors(v.op, i)
			if text := a.texts[input.Op]; text != nil {
				input.Digest = textDigest(text, input.Content)
			}
		}
		op.Inputs = append(op.Inputs, input)
	}
	return op, nil
}
