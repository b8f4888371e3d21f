package dockerfile

import (
	"encoding/json"
	"net/url"
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/containerd/platforms"
	"github.com/moby/buildkit/solver/pb"
	"github.com/moby/buildkit/util/gitutil"
	digest "github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/identity"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// source returns the source that v is and the digest that it is kept under, ""
// if that is not known. BuildKit's own code is not asked, because it would ask a
// registry or a server.
func (a *assembler) source(v *vertex) (*Source, string) {
	src := v.op.GetSource()
	scheme, name, _ := strings.Cut(src.Identifier, "://")
	if scheme == "https" {
		scheme = string(HTTPSource)
	}
	s := &Source{Kind: SourceKind(scheme), Request: -1}
	var key string
	switch s.Kind {
	case LocalSource:
		s.Name = name
	case ImageSource, OCISource:
		platform := a.platform(v.op)
		s.Name, s.Platform = name, formatPlatform(platform)
		ref, dgst, pinned := strings.Cut(name, "@")
		image, ok := a.images[imageID{name, s.Platform}]
		if !ok {
			image = a.images[imageID{ref, s.Platform}]
		}
		if !pinned && image.Digest != "" { // a named context: the builder looks it up itself
			dgst = image.Digest
			s.Name += "@" + dgst
		}
		key = imageKey(dgst, platform)
		s.Layers = sourceDigest(layersKey(image.Config))
	case BuildSource:
		s.Name = name
	case HTTPSource:
		key, s.Gave = httpKey(src), a.fetched[src.Identifier]
	case GitSource:
		key, s.Gave = gitKey(src), a.fetched[gitAddress(src)]
	}
	return s, sourceDigest(key)
}

// sourceDigest returns the digest under which a source with this key is kept
// (BuildKit: solver/llbsolver/ops, SourceOp.CacheMap); "" for no key.
func sourceDigest(key string) string {
	if key == "" {
		return ""
	}
	return digest.FromString("buildkit.source.v0:" + key).String()
}

// imageKey returns the key of the image with this digest (BuildKit:
// source/containerimage, mainManifestKey).
func imageKey(dgst string, p ocispecs.Platform) string {
	if dgst == "" {
		return ""
	}
	return jsonDigest(struct {
		Digest     string
		OS         string
		Arch       string
		Variant    string   `json:",omitempty"`
		OSVersion  string   `json:",omitempty"`
		OSFeatures []string `json:",omitempty"`
	}{dgst, p.OS, p.Architecture, p.Variant, p.OSVersion, p.OSFeatures})
}

// layersKey returns the key of an image by its layers; "" for an image without.
func layersKey(config []byte) string {
	var image ocispecs.Image
	if json.Unmarshal(config, &image) != nil || image.RootFS.Type != "layers" || len(image.RootFS.DiffIDs) == 0 {
		return ""
	}
	return identity.ChainID(image.RootFS.DiffIDs).String()
}

// httpKey returns the key of a download whose checksum the Dockerfile gives
// (BuildKit: source/http, formatCacheKey): nothing is asked of the server then.
func httpKey(src *pb.SourceOp) string {
	if src.Attrs[pb.AttrHTTPChecksum] == "" {
		return ""
	}
	number := func(attr string) int64 {
		n, _ := strconv.ParseInt(src.Attrs[attr], 0, 64) // absent, as from any Dockerfile
		return n
	}
	return jsonDigest(struct {
		Filename       string
		Perm, UID, GID int64
		Checksum       string
	}{
		httpFilename(src), number(pb.AttrHTTPPerm), number(pb.AttrHTTPUID), number(pb.AttrHTTPGID), src.Attrs[pb.AttrHTTPChecksum],
	})
}

// httpFilename returns the name under which a download is kept (BuildKit:
// source/http, getFileName).
func httpFilename(src *pb.SourceOp) string {
	name := src.Attrs[pb.AttrHTTPFilename]
	if name == "" {
		if u, err := url.Parse(src.Identifier); err == nil {
			name = u.Path
		}
	}
	name = path.Base(strings.TrimSpace(name))
	if name == "." || name == ".." || name == "/" || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 }) {
		return "download"
	}
	return name
}

// gitAddress returns the address by which provenance names a repository (BuildKit:
// source/git, GitIdentifier.Capture).
func gitAddress(src *pb.SourceOp) string {
	address := src.Attrs[pb.AttrFullRemoteURL]
	u, err := gitutil.ParseURL("https://" + strings.TrimPrefix(src.Identifier, "git://"))
	if err == nil && u.Opts != nil && u.Opts.Ref != "" {
		address += "#" + u.Opts.Ref
	}
	return address
}

// commit matches what git names a commit by in full.
var commit = regexp.MustCompile(`^(?:[0-9a-f]{40}|[0-9a-f]{64})$`)

// gitKey returns the key of a repository at a commit that the Dockerfile gives in
// full (BuildKit: source/git, shaToCacheKey).
func gitKey(src *pb.SourceOp) string {
	u, err := gitutil.ParseURL("https://" + strings.TrimPrefix(src.Identifier, "git://"))
	if err != nil || u.Opts == nil || !commit.MatchString(u.Opts.Ref) {
		return ""
	}
	key := u.Opts.Ref
	if src.Attrs[pb.AttrKeepGitDir] == "true" {
		key += ".git#" + u.Opts.Ref
	}
	if u.Opts.Subdir != "" {
		key += ":" + u.Opts.Subdir
	}
	if src.Attrs[pb.AttrGitSkipSubmodules] == "true" {
		key += "(skip-submodules)"
	}
	return key
}

// jsonDigest returns the digest of v as JSON. v is a struct of plain fields, which
// always marshals.
func jsonDigest(v any) string {
	dt, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return digest.FromBytes(dt).String()
}

// platform returns what op is for: as written, else what the builder has by
// itself (BuildKit: solver/llbsolver, NormalizeRuntimePlatforms).
func (a *assembler) platform(op *pb.Op) ocispecs.Platform {
	if op.Platform == nil {
		return a.native
	}
	return platforms.Normalize(op.Platform.Spec())
}

func formatPlatform(p ocispecs.Platform) string { return path.Join(p.OS, p.Architecture, p.Variant) }
