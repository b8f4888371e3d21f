package dockerfile

import (
	"encoding/hex"
	"path"

	"github.com/moby/buildkit/cache/contenthash"
	"github.com/moby/buildkit/solver/pb"
	digest "github.com/opencontainers/go-digest"
	"github.com/tonistiigi/fsutil/types"
)

// heredoc returns the file that op makes of the text of a heredoc, with nothing
// beside it; nil if it does something else (BuildKit: dockerfile2llb, dispatchCopy
// and dispatchRunHeredoc).
func heredoc(op *pb.Op) *pb.FileActionMkFile {
	actions := op.GetFile().GetActions()
	if len(op.Inputs) > 0 || len(actions) != 1 || actions[0].Input != -1 {
		return nil
	}
	if f := actions[0].GetMkfile(); f != nil && f.Owner == nil {
		return f
	}
	return nil
}

// textDigest returns the digest of what is selected of a directory that holds a file
// alone, "" if that is not just the file (BuildKit: solver/llbsolver/ops/opsutils,
// NewContentHashFunc).
func textDigest(f *pb.FileActionMkFile, selected []Selector) string {
	name := path.Join("/", f.Path)
	if len(selected) != 1 {
		return ""
	}
	s := selected[0]
	if s.Path != name || s.Wildcard || len(s.Include)+len(s.Exclude)+len(s.Required) > 0 || path.Dir(name) != "/" {
		return ""
	}
	h, err := contenthash.NewFromStat(&types.Stat{Path: name, Mode: uint32(f.Mode), Size: int64(len(f.Data))})
	if err != nil {
		return ""
	}
	h.Write(f.Data)
	return digest.FromBytes([]byte("sha256:" + hex.EncodeToString(h.Sum(nil)))).String()
}
