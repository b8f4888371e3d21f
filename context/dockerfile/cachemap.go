package dockerfile

import (
	"cmp"
	"context"
	"errors"
	"path"
	"slices"
	"strings"

	"github.com/moby/buildkit/solver"
	"github.com/moby/buildkit/solver/llbsolver/ops"
	"github.com/moby/buildkit/solver/pb"
	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// cacheMap returns the cache map of an operation: what BuildKit makes its cache key of,
// beside its inputs. BuildKit's own code computes it and needs no builder for that.
func cacheMap(ctx context.Context, v *vertex, platform ocispecs.Platform) (*solver.CacheMap, error) {
	op, err := newSolverOp(v, pb.PlatformFromSpec(platform))
	if err != nil {
		return nil, err
	}
	cm, _, err := op.CacheMap(ctx, nil, 0)
	return cm, err
}

// newSolverOp returns the operation as BuildKit's solver executes it. It has none of what
// executing it would need.
func newSolverOp(v *vertex, platform *pb.Platform) (solver.Op, error) {
	vtx := solverVertex{v}
	switch op := v.op.Op.(type) {
	case *pb.Op_Exec:
		return ops.NewExecOp(vtx, op, platform, nil, nil, nil, nil, nil, nil, false)
	case *pb.Op_File:
		return ops.NewFileOp(vtx, op, nil, nil, nil)
	case *pb.Op_Merge:
		return ops.NewMergeOp(vtx, op, nil)
	case *pb.Op_Diff:
		return ops.NewDiffOp(vtx, op, nil)
	}
	return nil, errors.New("an operation that no Dockerfile has")
}

// A solverVertex is a vertex in the form that BuildKit's solver wants.
type solverVertex struct{ *vertex }

var _ solver.Vertex = solverVertex{}

func (v solverVertex) Digest() digest.Digest         { return v.dgst }
func (v solverVertex) Sys() any                      { return v.op }
func (v solverVertex) Options() solver.VertexOptions { return solver.VertexOptions{} }
func (v solverVertex) Inputs() []solver.Edge         { return make([]solver.Edge, len(v.op.Inputs)) }
func (v solverVertex) Name() string                  { return v.name }

// selectors returns which files of an input are part of op's cache key. BuildKit's cache map
// hides them in a function that needs the files themselves, so that they are made here of
// op, in the same order.
func selectors(op *pb.Op, input int) []Selector {
	var list []Selector
	if exec := op.GetExec(); exec != nil {
		list = execSelectors(exec, input)
	} else {
		list = fileSelectors(op.GetFile(), input)
	}
	for i := range list {
		list[i].Path = path.Join("/", list[i].Path)
	}
	return list
}

// execSelectors returns the selectors of the files that a RUN mounts from an input
// (BuildKit: solver/llbsolver/ops, ExecOp.getMountDeps and toSelectors).
func execSelectors(op *pb.ExecOp, input int) []Selector {
	var paths []string
	for _, m := range op.Mounts {
		if int(m.Input) != input || m.MountType == pb.MountType_SECRET || m.MountType == pb.MountType_SSH || m.MountType == pb.MountType_TMPFS {
			continue
		}
		paths = append(paths, path.Join("/", m.Selector))
	}
	var list []Selector
	for _, p := range withoutNested(paths) {
		if p == "/" {
			return []Selector{{}} // all files, so that no link needs to be followed
		}
		list = append(list, Selector{Path: p, FollowLinks: true})
	}
	return list
}

// fileSelectors returns the selectors of the files that COPY and ADD copy from an input, and
// of those in which --chown looks up names (BuildKit: solver/llbsolver/ops, fileOp.CacheMap
// and dedupeSelectors).
func fileSelectors(op *pb.FileOp, input int) []Selector {
	var plain, followed []string
	var filtered []Selector
	for _, action := range op.GetActions() {
		followed = append(followed, ownerFiles(action, input)...)
		cp := action.GetCopy()
		if cp == nil || int(action.SecondaryInput) != input {
			continue
		}
		switch wildcard := cp.AllowWildcard && hasWildcard(cp.Src); {
		case wildcard || len(cp.IncludePatterns)+len(cp.ExcludePatterns) > 0:
			filtered = append(filtered, Selector{
				Path: cp.Src, Wildcard: wildcard, FollowLinks: cp.FollowSymlink,
				Include: cp.IncludePatterns, Exclude: cp.ExcludePatterns, Required: cp.RequiredPaths,
			})
		case cp.FollowSymlink:
			followed = append(followed, cp.Src)
		default:
			plain = append(plain, cp.Src)
		}
	}
	var list []Selector
	for _, p := range withoutNested(plain) {
		list = append(list, Selector{Path: p})
	}
	for _, p := range withoutNested(followed) {
		list = append(list, Selector{Path: p, FollowLinks: true})
	}
	list = append(list, filtered...)
	slices.SortFunc(list, func(x, y Selector) int { return cmp.Compare(x.Path, y.Path) })
	return list
}

// ownerFiles returns the files of an input in which the numbers of a named owner and group
// are looked up.
func ownerFiles(action *pb.FileAction, input int) []string {
	var owner *pb.ChownOpt
	switch {
	case action.GetCopy() != nil:
		owner = action.GetCopy().Owner
	case action.GetMkdir() != nil:
		owner = action.GetMkdir().Owner
	case action.GetMkfile() != nil:
		owner = action.GetMkfile().Owner
	case action.GetSymlink() != nil:
		owner = action.GetSymlink().Owner
	}
	var files []string
	if user := owner.GetUser().GetByName(); user != nil && int(user.Input) == input {
		files = append(files, "/etc/passwd")
	}
	if group := owner.GetGroup().GetByName(); group != nil && int(group.Input) == input {
		files = append(files, "/etc/group")
	}
	return files
}

// withoutNested returns paths sorted, without those that are below another one (BuildKit:
// solver/llbsolver/ops, dedupePaths).
func withoutNested(paths []string) []string {
	if len(paths) <= 1 {
		return paths
	}
	sorted := slices.Compact(slices.Sorted(slices.Values(paths)))
	return slices.DeleteFunc(slices.Clone(sorted), func(p string) bool {
		return slices.ContainsFunc(sorted, func(q string) bool {
			return p != q && strings.HasPrefix(p, strings.TrimSuffix(q, "/")+"/")
		})
	})
}

// hasWildcard reports whether a builder on Linux reads name as a pattern (BuildKit:
// solver/llbsolver/ops, containsWildcards).
func hasWildcard(name string) bool {
	for i := 0; i < len(name); i++ {
		switch name[i] {
		case '\\':
			i++
		case '*', '?', '[':
			return true
		}
	}
	return false
}
