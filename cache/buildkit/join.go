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

// A Join has what tells which definition was built, and what the build cost apart from
// its steps. It has the names of args, but no values.
type Join struct {
	// LocalContext and LocalDockerfile are absolute paths on this machine, which
	// buildx keeps for each build; "" for other clients and for remote contexts.
	LocalContext, LocalDockerfile string
	// VCSContext is the context's path relative to the root of the git work tree that
	// it is in, if buildx reports it.
	VCSContext    string
	VCSRevision   string
	RemoteContext bool // the context was a URL

	Filename  string // of the Dockerfile, as given; "Dockerfile" by default
	Target    string
	Platforms []string
	ArgNames  []string // sorted
	NoCache   bool
	// Uncached are the stages for which NoCache was given; empty for all.
	Uncached []string

	// Dockerfile is the text that was built; nil for a build that failed. It must
	// stay in memory: only its digest may be stored.
	Dockerfile       []byte `json:"-"`
	DockerfileDigest string // sha256 of the text in hex; "" if unknown

	TransferBytes int64 // sent by the client, including Dockerfile and ignore file
	// FixedSeconds is the time during which no step ran, but files were transferred,
	// images pulled or results exported. It does not depend on the order of steps.
	FixedSeconds float64
}

// join returns the Join of the build that ev reports and o observed.
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

// addProvenance adds the Dockerfile, which is the same for all platforms.
func (j *Join) addProvenance(p provenance) {
	if infos := p.source.Source.Infos; len(infos) > 0 && j.Dockerfile == nil {
		j.Dockerfile = infos[0].Data
		sum := sha256.Sum256(j.Dockerfile)
		j.DockerfileDigest = hex.EncodeToString(sum[:])
	}
}

// addTimes adds the costs apart from the steps.
func (j *Join) addTimes(ev Event, o observation) {
	var steps []Run
	for digest, v := range o.seen.vertices {
		if l, ok := parseLabel(v.Name); ok && l.step() && o.owns(digest) {
			steps = append(steps, v.runs()...)
		}
		j.TransferBytes += v.sent
	}
	j.FixedSeconds = max(0, ev.Completed.Sub(ev.Created).Seconds()-covered(steps))
}

// A buildxState reads the files that buildx keeps (buildx: localstate and store).
type buildxState struct {
	dir string // buildx's directory; "" if unknown
}

// localPaths returns the context and the Dockerfile of the build that buildx ran as ref,
// "" if they are unknown.
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

// SharedKey returns the key under which buildx on this machine sends a directory to a
// builder. Other clients send it without a key, unless told otherwise.
func (b *Builder) SharedKey(dir string) string { return b.buildx.sharedKey(dir) }

// sharedKey returns the key under which buildx sends the directory (buildx:
// build/opt.go). By that key the builder finds its copy, so that only changed files are
// sent.
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
