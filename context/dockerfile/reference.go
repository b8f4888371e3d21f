package dockerfile

import (
	"context"
	"errors"
	"os"
	"path"
	"path/filepath"

	"github.com/containerd/continuity/fs"
	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/solver/pb"
	fstypes "github.com/tonistiigi/fsutil/types"
)

// A reference stands for the result of a definition. The frontend reads the Dockerfile
// and the ignore files through it, which come from disk.
type reference struct {
	def     *pb.Definition
	gateway *gateway
	local   string // name of the local source that the definition is; "" if it is none
	dir     string // directory of the local source; "" if there is none
	fetched bool   // the definition is a download
}

var _ client.Reference = (*reference)(nil)

func (r *reference) ToState() (llb.State, error) {
	op, err := llb.NewDefinitionOp(r.def)
	if err != nil {
		return llb.State{}, err
	}
	return llb.NewState(op), nil
}

func (r *reference) Evaluate(context.Context) error { return nil }

func (r *reference) ReadFile(_ context.Context, req client.ReadRequest) ([]byte, error) {
	if r.isDockerfile(req.Filename) {
		return r.gateway.text, nil
	}
	if r.fetched {
		// The frontend asks whether a context at a URL is an archive. If it were not,
		// it would be a Dockerfile alone, of which nothing is known here.
		return []byte(gzipMagic), nil
	}
	text, err := r.read(req.Filename)
	if len(text) == 0 && r.gateway.external {
		// For a frontend that runs as an image, an empty file is none (BuildKit:
		// frontend/gateway/grpcclient).
		return nil, err
	}
	return text, err
}

// gzipMagic is the beginning of a gzip file.
const gzipMagic = "\x1f\x8b\x08"

func (r *reference) StatFile(_ context.Context, req client.StatRequest) (*fstypes.Stat, error) {
	if r.isDockerfile(req.Path) {
		return &fstypes.Stat{Path: req.Path, Mode: 0o644, Size: int64(len(r.gateway.text))}, nil
	}
	if r.gateway.read != nil {
		text, err := r.read(req.Path)
		return &fstypes.Stat{Path: req.Path, Mode: 0o644, Size: int64(len(text))}, err
	}
	name, err := r.resolve(req.Path)
	if err != nil {
		return nil, err
	}
	fi, err := os.Lstat(name)
	if err != nil {
		return nil, err
	}
	return &fstypes.Stat{Path: req.Path, Mode: uint32(fi.Mode()), Size: fi.Size()}, nil
}

func (r *reference) ReadDir(context.Context, client.ReadDirRequest) ([]*fstypes.Stat, error) {
	return nil, errors.New("directories need a builder")
}

func (r *reference) isDockerfile(name string) bool {
	return r.local == localDockerfile && path.Clean(name) == r.gateway.opts.Opts["filename"]
}

// read reads a file of the local source.
func (r *reference) read(name string) ([]byte, error) {
	if r.gateway.read != nil && r.dir != "" {
		return r.gateway.read(filepath.Join(r.dir, filepath.FromSlash(path.Clean("/"+name))))
	}
	name, err := r.resolve(name)
	if err != nil {
		return nil, err
	}
	return os.ReadFile(name)
}

// resolve returns the path on disk of a file of the local source. As in BuildKit, links
// are followed, but do not lead out of the directory.
func (r *reference) resolve(name string) (string, error) {
	if r.dir == "" {
		return "", &os.PathError{Op: "open", Path: name, Err: os.ErrNotExist}
	}
	return fs.RootPath(r.dir, filepath.FromSlash(name))
}
