package buildkit

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A Join is what tells which definition a build was of, and what it cost
// beside its steps. It names args and holds no values.
type Join struct {
	// LocalContext and LocalDockerfile are absolute paths on this machine, as
	// buildx remembers them; "" for other clients and for remote contexts.
	LocalContext, LocalDockerfile string
	// VCSContext is relative to the repository's root, as buildx reports it when the
	// context is in a git work tree.
	VCSContext    string
	VCSRevision   string
	RemoteContext bool // the context was a URL

	Filename  string // of the Dockerfile, as given; "Dockerfile" by default
	Target    string
	Platforms []string
	ArgNames  []string // sorted
	NoCache   bool
	// Uncached are the stages that NoCache is about; none for all.
	Uncached []string

	// Dockerfile is the text that was built; nil for a build that failed. It
	// stays in memory: what is kept is its digest.
	Dockerfile       []byte `json:"-"`
	DockerfileDigest string // sha256 in hex of the text; "" if unknown

	TransferBytes int64 // sent by the client, Dockerfile and ignore file included
	// FixedSeconds is the part of the wall time during which no step ran:
	// transfers, pulls and exports, which no order of steps changes.
	FixedSeconds float64
}

func (b *Builder) join(ev Event, o observation) Join {
	attrs := ev.record.FrontendAttrs
	j := Join{
		VCSContext:    attrs["vcs:localdir:context"],
		VCSRevision:   attrs["vcs:revision"],
		RemoteContext: attrs["context"] != "",
		Filename:      "Dockerfile",
		Target:        attrs["target"],
	}
	if name := attrs["filename"]; name != "" {
		j.Filename = name
	}
	if p := attrs["platform"]; p != "" {
		j.Platforms = strings.Split(p, ",")
	}
	for key := range attrs {
		if name, ok := strings.CutPrefix(key, "build-arg:"); ok {
			j.ArgNames = append(j.ArgNames, name)
		}
	}
	slices.Sort(j.ArgNames)
	stages, noCache := attrs["no-cache"]
	j.NoCache = noCache
	if stages != "" {
		j.Uncached = strings.Split(stages, ",")
	}
	j.LocalContext, j.LocalDockerfile = b.buildx.localPaths(ev.Ref)
	for _, p := range o.prov {
		j.addProvenance(p)
	}
	j.addTimes(ev, o)
	return j
}

func (j *Join) addProvenance(p provenance) {
	if infos := p.source.Source.Infos; len(infos) > 0 && j.Dockerfile == nil {
		j.Dockerfile = infos[0].Data
		sum := sha256.Sum256(j.Dockerfile)
		j.DockerfileDigest = hex.EncodeToString(sum[:])
	}
}

func (j *Join) addTimes(ev Event, o observation) {
	var steps []*seenVertex
	for digest, v := range o.seen.vertices {
		if l, ok := parseLabel(v.Name); ok && l.step() && o.owns(digest) {
			steps = append(steps, v)
		}
		j.TransferBytes += v.sent
	}
	j.FixedSeconds = max(0, ev.Completed.Sub(ev.Created).Seconds()-busy(steps))
}

// buildxState is what buildx keeps on disk (its localstate and store packages).
type buildxState struct {
	dir string // "" if unknown
}

// localPaths returns the directories of the build that buildx ran as ref.
func (s buildxState) localPaths(ref string) (contextDir, dockerfile string) {
	if s.dir == "" || ref == "" || strings.ContainsAny(ref, `*?[\/`) {
		return "", ""
	}
	// refs/<builder>/<node>/<ref>; refs are unique whatever the builder.
	matches, err := filepath.Glob(filepath.Join(s.dir, "refs", "*", "*", ref))
	if err != nil {
		return "", ""
	}
	for _, file := range matches {
		data, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		var state struct{ LocalPath, DockerfilePath string }
		if json.Unmarshal(data, &state) != nil || !filepath.IsAbs(state.LocalPath) {
			continue
		}
		if !filepath.IsAbs(state.DockerfilePath) {
			state.DockerfilePath = ""
		}
		return state.LocalPath, state.DockerfilePath
	}
	return "", ""
}

// SharedKey returns the key under which buildx on this machine sends a directory
// to a builder. Other clients give none, if they are not told to.
func (b *Builder) SharedKey(dir string) string { return b.buildx.sharedKey(dir) }

// sharedKey returns the key under which buildx sends the directory, so that
// the builder keeps one copy of it and sends again only what changed (buildx:
// build/opt.go).
func (s buildxState) sharedKey(dir string) string {
	abs, err := filepath.Abs(dir)
	if err != nil {
		abs = dir
	}
	key := filepath.Base(abs)
	if s.dir == "" {
		return key
	}
	if id, err := os.ReadFile(filepath.Join(s.dir, ".buildNodeID")); err == nil {
		key += ":" + strings.TrimSpace(string(id))
	}
	return key
}
