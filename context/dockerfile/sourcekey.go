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

// source describes the source of v and returns the digest of its cache key, "" if that is
// not known. BuildKit's own code is of no use here, since it would ask a registry or server.
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
		if !pinned && image.Digest != "" {
			// The frontend leaves the look-up of a named context's image to the builder.
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

// sourceDigest returns the digest for a source with this key (BuildKit:
// solver/llbsolver/ops, SourceOp.CacheMap), "" if key is "".
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

// layersKey returns the key that BuildKit gives an image by its layers, "" if it has none.
func layersKey(config []byte) string {
	var image ocispecs.Image
	if json.Unmarshal(config, &image) != nil || image.RootFS.Type != "layers" || len(image.RootFS.DiffIDs) == 0 {
		return ""
	}
	return identity.ChainID(image.RootFS.DiffIDs).String()
}

// httpKey returns the key of a download (BuildKit: source/http, formatCacheKey), "" if the
// Dockerfile gives no checksum, because the key then depends on what the server answers.
func httpKey(src *pb.SourceOp) string {
	if src.Attrs[pb.AttrHTTPChecksum] == "" {
		return ""
	}
	number := func(attr string) int64 {
		n, _ := strconv.ParseInt(src.Attrs[attr], 0, 64) // the frontend never sets it
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

// httpFilename returns the name of the file that BuildKit makes of a download (source/http,
// getFileName). Unlike BuildKit, it does not know the name that a server suggests.
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

// gitAddress returns the address of a repository as provenance has it (BuildKit:
// source/git, GitIdentifier.Capture).
func gitAddress(src *pb.SourceOp) string {
	address := src.Attrs[pb.AttrFullRemoteURL]
	u, err := gitutil.ParseURL("https://" + strings.TrimPrefix(src.Identifier, "git://"))
	if err == nil && u.Opts != nil && u.Opts.Ref != "" {
		address += "#" + u.Opts.Ref
	}
	return address
}

// fullCommit matches the full hash of a commit, by SHA-1 or SHA-256.
var fullCommit = regexp.MustCompile(`^(?:[0-9a-f]{40}|[0-9a-f]{64})$`)

// gitKey returns the key of a repository (BuildKit: source/git, shaToCacheKey), "" if the
// Dockerfile does not give the full hash of a commit.
func gitKey(src *pb.SourceOp) string {
	u, err := gitutil.ParseURL("https://" + strings.TrimPrefix(src.Identifier, "git://"))
	if err != nil || u.Opts == nil || !fullCommit.MatchString(u.Opts.Ref) {
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

// jsonDigest returns the digest of v as JSON. v must be a struct of plain fields, which
// always marshals.
func jsonDigest(v any) string {
	dt, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return digest.FromBytes(dt).String()
}

// platform returns the platform of op, which is the builder's own if op names none
// (BuildKit: solver/llbsolver, NormalizeRuntimePlatforms).
func (a *assembler) platform(op *pb.Op) ocispecs.Platform {
	if op.Platform == nil {
		return a.native
	}
	return platforms.Normalize(op.Platform.Spec())
}

func formatPlatform(p ocispecs.Platform) string { return path.Join(p.OS, p.Architecture, p.Variant) }
