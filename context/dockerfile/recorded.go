package dockerfile

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/containerd/platforms"
	"github.com/moby/buildkit/solver/pb"
	digest "github.com/opencontainers/go-digest"
)

// A Recording has the operations of a build for one platform, as the builder recorded
// them in the provenance.
type Recording struct {
	// Plan has only Ops, Results and Requests. Op.Steps are empty: the provenance
	// says by ID which steps operations belong to.
	Plan *Plan
	// IDs are the operations' names in the provenance, and Traits what their digests
	// are made of. Both are parallel to Plan.Ops.
	IDs    []string
	Traits [][]Trait
}

// ReadRecording decodes the definition in a provenance (BuildKit:
// solver/llbsolver/provenance, toBuildSteps). native is the builder's default platform,
// such as "linux/amd64"; "" for that of this machine. fetched has the digests of what
// the build fetched, by address. Like a [Plan], the result contains plain hashes over
// values of args.
func ReadRecording(ctx context.Context, definition []byte, native string, fetched map[string]string) (*Recording, error) {
	var steps []struct {
		ID     string   `json:"id"`
		Op     *pb.Op   `json:"op"`
		Inputs []string `json:"inputs"`
	}
	if err := json.Unmarshal(definition, &steps); err != nil {
		return nil, fmt.Errorf("read a recorded build: %w", err)
	}
	asm := &assembler{
		plan: &Plan{}, images: map[imageID]Image{}, ops: map[output]int{}, locals: map[int]Request{},
		fetched: fetched, native: platforms.Normalize(defaultPlatform()),
	}
	if native != "" {
		platform, err := platforms.Parse(native)
		if err != nil {
			return nil, fmt.Errorf("read a recorded build: %w", err)
		}
		asm.native = platforms.Normalize(platform)
	}
	var (
		vertices []*vertex
		head     *pb.Input
	)
	for _, s := range steps {
		if s.Op == nil {
			return nil, fmt.Errorf("read a recorded build: %s has no operation", s.ID)
		}
		for _, in := range s.Inputs {
			id, index, _ := strings.Cut(in, ":")
			n, err := strconv.ParseInt(index, 10, 64)
			if err != nil {
				return nil, fmt.Errorf("read a recorded build: input %q of %s", in, s.ID)
			}
			s.Op.Inputs = append(s.Op.Inputs, &pb.Input{Digest: id, Index: n})
		}
		if s.Op.Op == nil {
			if len(s.Op.Inputs) > 0 {
				head = s.Op.Inputs[0]
			}
			continue
		}
		vertices = append(vertices, &vertex{dgst: digest.Digest(s.ID), op: s.Op, step: -1})
	}
	if err := sound(vertices, head); err != nil {
		return nil, err
	}
	for _, v := range vertices {
		asm.addSource(v)
	}
	if err := asm.addOps(ctx, vertices, head); err != nil {
		return nil, fmt.Errorf("read a recorded build: %w", err)
	}
	asm.finish()
	r := &Recording{Plan: asm.plan, IDs: make([]string, len(asm.plan.Ops)), Traits: make([][]Trait, len(asm.plan.Ops))}
	for id, i := range asm.ops {
		r.IDs[i], r.Traits[i] = id.dgst, asm.plan.Ops[i].Traits
	}
	return r, nil
}

// sound reports what is wrong with a definition that came from elsewhere: each
// operation must come after those that it takes in.
func sound(vertices []*vertex, head *pb.Input) error {
	seen := map[string]bool{}
	check := func(in *pb.Input) error {
		if !seen[in.Digest] {
			return fmt.Errorf("read a recorded build: %s is taken in before it is there", in.Digest)
		}
		return nil
	}
	for _, v := range vertices {
		for _, in := range v.op.Inputs {
			if err := check(in); err != nil {
				return err
			}
		}
		seen[string(v.dgst)] = true
	}
	if head != nil {
		return check(head)
	}
	return nil
}
