package buildctx

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/containerd/platforms"

	"github.com/stokerd/stoker/context/dockerfile"
)

// A Definition says what is built, as `docker build` would be told: a
// context directory, a Dockerfile, and what changes the meaning of the two.
//
// A Definition is a value: whoever holds one may keep it, nobody edits it
// after it was handed on. Args hold values in the clear and live in memory
// only; use ArgNames for everything that is shown, logged or stored.
type Definition struct {
	// Name is how users call it; unique in a repository.
	Name string
	// Origin is the file that defines it, relative to the repository and
	// slash-separated ("compose.yaml"), or Observed; empty for one given on
	// the command line.
	Origin string
	// Context is the absolute path of the context directory, or the URL of
	// a remote context (see Remote).
	Context string
	// Dockerfile is the absolute path of the Dockerfile.
	Dockerfile string
	// Inline is the text of a Dockerfile that has no file of its own
	// (compose's dockerfile_inline, bake's dockerfile-inline).
	Inline string
	// Shown is Inline as its file spells it, before variables were expanded;
	// empty if that is the same. Inline may hold secrets, Shown may be printed.
	Shown string
	// Target is the stage to build; empty means the last one.
	Target string
	// Args are the build args by name.
	Args map[string]string
	// UnknownArgs are the names of args that an observed build had, and whose
	// values are not known.
	UnknownArgs []string
	// Platforms are the platforms to build for; empty means the builder's own.
	Platforms []string
	// Options are the surroundings of RUN steps: network, hosts, limits.
	Options dockerfile.Options
	// NoCache makes every stage run without the cache (`--no-cache`), NoCacheStages
	// those that it names (`--no-cache-filter`).
	NoCache       bool
	NoCacheStages []string
	// Imports are the caches to look into beside the builder's (`--cache-from`).
	Imports []Import
	// NamedContexts are the additional build contexts by name
	// (`--build-context`): an absolute directory, or a URL as buildx takes it
	// (docker-image://, target:, https://, oci-layout://, a git address).
	NamedContexts map[string]string
	// Linked are the definitions that NamedContexts refer to as target:NAME, by
	// NAME. Their builds come first, and this one uses the results.
	Linked map[string]Definition
	// Services are the compose services that this build is for, which say how
	// containers of the image are started. Empty if no compose file does.
	Services []Service
}

// A Service is how a compose file starts containers of an image, where that differs
// from what the image says. Variables are expanded in it, so it must not be printed.
type Service struct {
	Command []string // with the entrypoint in front; empty for the image's own
	User    string   // "" for the image's own
}

// Observed is the Origin of a definition that no file declares and that was learned
// from a build.
const Observed = "observed build"

// TargetPrefix starts the value of a named context that is the result of another
// build: target:NAME.
const TargetPrefix = "target:"

// Remote reports whether the main context is not a directory on this machine
// (a git or tar URL). BuildKit applies no ignore file to it.
func (d Definition) Remote() bool { return isRemote(d.Context) }

// Describes reports whether a build of other counts as a build of d: context,
// Dockerfile and target are the same, and so are the platforms if both name any.
// Args and named contexts may differ.
func (d Definition) Describes(other Definition) bool {
	return d.Context == other.Context && d.Dockerfile == other.Dockerfile && d.Target == other.Target &&
		(len(d.Platforms) == 0 || len(other.Platforms) == 0 || slices.Equal(d.Platforms, other.Platforms))
}

// Platforms returns platforms as clients name them, as BuildKit knows them: "local" is that of the
// machine on which the client runs, also where its builder has another one (buildx:
// platformutil.Parse). Each is returned once. Other names are kept as they are, right or wrong.
func Platforms(named []string) []string {
	var list []string
	for _, name := range named {
		if strings.EqualFold(name, "local") {
			name = platforms.Format(platforms.DefaultSpec())
		}
		if !slices.Contains(list, name) {
			list = append(list, name)
		}
	}
	return list
}

// ArgNames returns the names of the build args, sorted.
func (d Definition) ArgNames() []string {
	names := append(slices.Collect(maps.Keys(d.Args)), d.UnknownArgs...)
	slices.Sort(names)
	return names
}

// LocalContexts returns the named contexts that are directories on this
// machine, by name.
func (d Definition) LocalContexts() map[string]string {
	local := map[string]string{}
	for name, value := range d.NamedContexts {
		if !isRemote(value) && filepath.IsAbs(value) {
			local[name] = value
		}
	}
	return local
}

// DockerfileText returns the text of the Dockerfile. Like BuildKit it falls back to
// a file named dockerfile in lower case (BuildKit: dockerui.ReadEntrypoint). The
// error is that of reading Dockerfile.
func (d Definition) DockerfileText() ([]byte, error) {
	if d.Inline != "" {
		return []byte(d.Inline), nil
	}
	text, err := os.ReadFile(d.Dockerfile)
	if errors.Is(err, fs.ErrNotExist) && filepath.Base(d.Dockerfile) == "Dockerfile" {
		if lower, err := os.ReadFile(filepath.Join(filepath.Dir(d.Dockerfile), "dockerfile")); err == nil {
			return lower, nil
		}
	}
	return text, err
}

// OwnIgnoreText returns the text of the Dockerfile's own ignore file
// (`<Dockerfile>.dockerignore`), or nil if there is none.
func (d Definition) OwnIgnoreText() ([]byte, error) {
	if d.Inline != "" {
		return nil, nil
	}
	text, err := os.ReadFile(d.Dockerfile + ".dockerignore")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return text, err
}

// isRemote follows buildx's reading of a context argument: anything with a
// scheme, git's scp-like form and GitHub's short one are no local directories.
func isRemote(ref string) bool {
	return strings.Contains(ref, "://") || strings.HasPrefix(ref, "git@") ||
		strings.HasPrefix(ref, "github.com/") || strings.HasPrefix(ref, TargetPrefix)
}
