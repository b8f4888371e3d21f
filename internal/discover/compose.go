package discover

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/docker/go-units"
	"github.com/zclconf/go-cty/cty"

	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/context/dockerfile"
)

// compose reads one compose project, with every profile, and adds a definition for each
// service that is built. files are its main file and the override beside it, if any.
func (f *finder) compose(ctx context.Context, files []string) {
	dir := filepath.Join(f.root, filepath.FromSlash(path.Dir(files[0])))
	files = f.chosen(dir, files)
	main := files[0]
	in, all, err := f.services(ctx, dir, files)
	if err != nil {
		if !f.buildNothing(files) {
			f.problem(in.explain(err))
		}
		return
	}
	if f.lacksFar(dir, all) {
		if at, there, built := f.projectAbove(ctx, files); built != nil {
			in, all = there, built
			f.note(main, 0, "paths in it are taken to count from "+shownDir(at)+", because its Dockerfiles are there and not in "+path.Dir(main))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(in.unset)) {
		f.note(main, 0, "variable "+name+" is not set and counts as empty")
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		d, err := link(all, name)
		if err != nil {
			f.problem(in.explain(err))
			continue
		}
		f.definitions = append(f.definitions, d)
	}
}

// services loads a project, with paths relative to dir, and returns the definitions of
// the services that are built, by name.
func (f *finder) services(ctx context.Context, dir string, files []string) (*composeInput, map[string]buildctx.Definition, error) {
	in := newComposeInput(f, files[0])
	project, err := in.load(ctx, dir, files)
	if err != nil {
		return in, nil, err
	}
	all := map[string]buildctx.Definition{}
	for name, s := range project.Services {
		if s.Build != nil {
			d := service(name, files[0], *s.Build, f.options.Env)
			// It is built for the platform that it runs on (compose: applyPlatforms).
			if runs := cmp.Or(s.Platform, project.Environment["DOCKER_DEFAULT_PLATFORM"]); runs != "" && len(d.Platforms) == 0 {
				d.Platforms = buildctx.Platforms([]string{runs})
			}
			if d.Inline != "" {
				d.Shown = in.written[d.Inline]
			}
			d.Services = []buildctx.Service{{Command: slices.Concat(s.Entrypoint, s.Command), User: s.User}}
			all[name] = d
		}
	}
	return in, all, nil
}

// projectAbove looks for a folder above that of the files from which all Dockerfiles of the
// project are found. A file may be meant to be used with others: its paths are then
// relative to the folder of the first of them, or to --project-directory. It returns the
// folder, relative to the repository, and what services returns for it; the definitions are
// nil if there is no such folder.
func (f *finder) projectAbove(ctx context.Context, files []string) (string, *composeInput, map[string]buildctx.Definition) {
	for at := path.Dir(files[0]); at != "."; {
		at = path.Dir(at)
		in, all, err := f.services(ctx, filepath.Join(f.root, filepath.FromSlash(at)), files)
		if err == nil && !f.lacksAny(all) {
			return at, in, all
		}
	}
	return "", nil, nil
}

// lacksFar reports whether a Dockerfile is missing that should lie in another folder than
// dir. A missing dir/Dockerfile does not count: many folders have a Dockerfile, so to find
// one above would prove nothing.
func (f *finder) lacksFar(dir string, all map[string]buildctx.Definition) bool {
	far := false
	for _, d := range all {
		far = f.lacksDockerfile(d) && filepath.Dir(d.Dockerfile) != dir || far // asks for all: see lacksAny
	}
	return far
}

// lacksAny reports whether one of the Dockerfiles is missing.
func (f *finder) lacksAny(all map[string]buildctx.Definition) bool {
	lacks := false
	for _, d := range all {
		lacks = f.lacksDockerfile(d) || lacks // asks for all, so that all are in Result.Files
	}
	return lacks
}

// buildNothing reports whether compose files, which cannot be loaded, build nothing anyway.
// Many examples only run images, and need variables that nobody has set.
func (f *finder) buildNothing(files []string) bool {
	for _, rel := range files {
		data, err := f.readFile(rel)
		if err != nil || mayBuild(data) {
			return false
		}
	}
	return true
}

// composeTargets returns the services that are built as targets for the bake files beside
// the compose files. Dots in their names are replaced, and override files are not read
// (buildx: bake.ParseCompose).
func (f *finder) composeTargets(ctx context.Context, files []string) []*bakeTarget {
	dir := filepath.Join(f.root, filepath.FromSlash(path.Dir(files[0])))
	in := newComposeInput(f, files[0])
	project, err := in.load(ctx, dir, files)
	if err != nil {
		return nil // reported where the project is read for itself
	}
	var targets []*bakeTarget
	for _, name := range slices.Sorted(maps.Keys(project.Services)) {
		if build := project.Services[name].Build; build != nil {
			targets = append(targets, in.target(service(name, files[0], *build, f.options.Env), *build))
		}
	}
	return targets
}

// target returns the bake target of a service with the definition d.
func (in *composeInput) target(d buildctx.Definition, build types.BuildConfig) *bakeTarget {
	t := &bakeTarget{
		Name: bakeName(d.Name), Context: &d.Context, Dockerfile: &d.Dockerfile, Target: &d.Target,
		Platforms: d.Platforms, untouched: true,
		Network: &d.Options.Network, NoCache: &d.NoCache,
	}
	for limit, l := range build.Ulimits {
		t.Ulimits = append(t.Ulimits, fmt.Sprintf("%s=%d:%d", limit, l.Soft, l.Hard)) // bake ignores l.Single
	}
	for host, addresses := range d.Options.Hosts {
		t.ExtraHosts = overlay(t.ExtraHosts, map[string]*string{host: &addresses})
	}
	if d.Options.ShmSize > 0 {
		size := units.BytesSize(float64(d.Options.ShmSize)) // rounded, as bake does
		t.ShmSize = &size
	}
	for _, text := range build.CacheFrom {
		t.CacheFrom = joined(t.CacheFrom, cty.TupleVal([]cty.Value{cty.StringVal(text)}))
	}
	if d.Inline != "" {
		t.Inline, t.shown = &d.Inline, in.written[d.Inline]
	}
	for arg, value := range d.Args {
		t.Args = overlay(t.Args, map[string]*string{arg: &value})
	}
	for as, ref := range d.NamedContexts {
		if other, ok := strings.CutPrefix(ref, buildctx.TargetPrefix); ok {
			ref = buildctx.TargetPrefix + bakeName(other)
		}
		t.Contexts = overlay(t.Contexts, map[string]string{as: ref})
	}
	return t
}

// bakeName returns the name of a service as a target (buildx: bake.sanitizeTargetName).
func bakeName(service string) string { return strings.ReplaceAll(service, ".", "_") }

// chosen returns the files that COMPOSE_FILE in the project's .env selects, as if they were
// given with -f, or else files. A repository may not select files outside of it.
func (f *finder) chosen(dir string, files []string) []string {
	dotEnv := filepath.Join(dir, ".env")
	if regular(dotEnv) != nil {
		return files
	}
	values, err := dotenv.GetEnvFromFile(nil, []string{dotEnv})
	if err != nil || values["COMPOSE_FILE"] == "" {
		return files // an error is reported by composeInput.environment
	}
	separator := cmp.Or(values["COMPOSE_PATH_SEPARATOR"], string(os.PathListSeparator))
	var named []string
	for name := range strings.SplitSeq(values["COMPOSE_FILE"], separator) {
		rel := f.rel(filepath.Join(dir, name))
		if filepath.IsAbs(name) || !filepath.IsLocal(rel) {
			f.note(f.rel(dotEnv), 0, "COMPOSE_FILE names a file outside of the repository and is not followed")
			return files
		}
		named = append(named, rel)
	}
	return named
}

// service returns the definition of a service from its build section, in which paths are
// absolute except that of the Dockerfile, which is relative to the context. env are the
// variables of the building process.
func service(name, origin string, build types.BuildConfig, env map[string]string) buildctx.Definition {
	d := buildctx.Definition{
		Name: name, Origin: origin, Context: build.Context, Dockerfile: build.Dockerfile, Inline: build.DockerfileInline,
		Target: build.Target, Platforms: buildctx.Platforms(build.Platforms),
	}
	if d.Inline == "" && d.Dockerfile == "" {
		d.Dockerfile = "Dockerfile"
	}
	if !d.Remote() && d.Dockerfile != "" && !filepath.IsAbs(d.Dockerfile) {
		d.Dockerfile = filepath.Join(d.Context, d.Dockerfile)
	}
	for arg, value := range build.Args {
		if value == nil {
			continue // to be taken from the environment, where it is not set
		}
		if d.Args == nil {
			d.Args = map[string]string{}
		}
		d.Args[arg] = *value
	}
	d.Options = dockerfile.Options{Network: build.Network, ShmSize: int64(build.ShmSize)}
	for host, addresses := range build.ExtraHosts {
		d.Options.Hosts = overlay(d.Options.Hosts, map[string]string{host: strings.Join(addresses, ",")})
	}
	for limit, l := range build.Ulimits {
		soft, hard := l.Soft, l.Hard
		if l.Single != 0 {
			soft, hard = l.Single, l.Single
		}
		d.Options.Ulimits = append(d.Options.Ulimits, fmt.Sprintf("%s=%d:%d", limit, soft, hard))
	}
	slices.Sort(d.Options.Ulimits)
	d.NoCache, d.NoCacheStages = build.NoCache, build.NoCacheFilter
	for _, text := range build.CacheFrom {
		got, err := buildctx.ParseImports(text, env)
		d.Imports = addImports(d.Imports, got, err)
	}
	for as, from := range build.AdditionalContexts {
		if d.NamedContexts == nil {
			d.NamedContexts = map[string]string{}
		}
		// Compose calls it a service, bake a target; a definition uses the latter.
		if other, ok := strings.CutPrefix(from, types.ServicePrefix); ok {
			from = buildctx.TargetPrefix + other
		}
		d.NamedContexts[as] = from
	}
	return d
}
