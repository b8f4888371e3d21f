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

// A Recording is what a builder's provenance tells of the operations of a build,
// for one platform.
type Recording struct {
	// Plan has Ops, Results and Requests, and nothing else. No Op is part of a
	// step: what the builder says of steps goes by ID.
	Plan *Plan
	// IDs name the operations as the provenance does, and Traits are what their
	// digests are made of; both parallel to Plan.Ops.
	IDs    []string
	Traits [][]Trait
}

// ReadRecording reads the definition in a provenance (BuildKit:
// solver/llbsolver/provenance, toBuildSteps). native is what the builder builds
// for by itself, "linux/amd64"; "" for this machine's platform. gave are the digests of
// what addresses gave to the build. What it returns holds plain hashes over the values of
// args, as [Plan] does.
func ReadRecording(ctx context.Context, definition []byte, native string, gave map[string]string) (*Recording, error) {
	var steps []struct {
		ID     string   `json:"id"`
		Op     *pb.Op   `json:"op"`
		Inputs []string `json:"inputs"`
	}
	if err := json.Unmarshal(definition, &steps); err != nil {
		return nil, fmt.Errorf("read a recorded build: %w", err)
	}
	asm := &assembler{plan: &Plan{}, images: map[imageID]Image{}, ops: map[output]int{}, locals: map[int]Request{}, gave: gave, native: platforms.Normalize(defaultPlatform())}
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
