package discover

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/template"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/docker/go-units"
	"github.com/zclconf/go-cty/cty"

	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/context/dockerfile"
)

// compose reads one compose project, with every profile, and takes the
// services that build. files are its main file and the override beside it.
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

// services returns the services that build of one project, whose paths count from
// dir.
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
			// It is built for what it runs on (compose: applyPlatforms).
			if runs := cmp.Or(s.Platform, project.Environment["DOCKER_DEFAULT_PLATFORM"]); runs != "" && len(d.Platforms) == 0 {
				d.Platforms = []string{runs}
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

// projectAbove looks for the folder above a project's own that has all its
// Dockerfiles: the paths of a file that is only a part count from where the first of
// all the files lies, or from what --project-directory names. It returns the services
// as they are from there; nil if there is none.
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

// lacksFar reports that a Dockerfile is not there which the project has in another
// folder than dir: one that is called Dockerfile lies in many, and says nothing.
func (f *finder) lacksFar(dir string, all map[string]buildctx.Definition) bool {
	far := false
	for _, d := range all {
		far = f.lacksDockerfile(d) && filepath.Dir(d.Dockerfile) != dir || far
	}
	return far
}

// lacksAny reports that one of the Dockerfiles is not there.
func (f *finder) lacksAny(all map[string]buildctx.Definition) bool {
	lacks := false
	for _, d := range all {
		lacks = f.lacksDockerfile(d) || lacks // each is looked for, and so watched
	}
	return lacks
}

// buildNothing reports files by which nothing is built, whatever else there is
// to them: most examples only run images, and want variables that are theirs alone.
func (f *finder) buildNothing(files []string) bool {
	for _, rel := range files {
		data, err := f.readFile(rel)
		if err != nil || mayBuild(data) {
			return false
		}
	}
	return true
}

// composeTargets returns the services that build as the bake files beside them
// see them: each is a target, with the dots of its name replaced, and override
// files count for nothing (buildx: bake.ParseCompose).
func (f *finder) composeTargets(ctx context.Context, files []string) []*bakeTarget {
	dir := filepath.Join(f.root, filepath.FromSlash(path.Dir(files[0])))
	in := newComposeInput(f, files[0])
	project, err := in.load(ctx, dir, files)
	if err != nil {
		return nil // said where the project is read for itself
	}
	var targets []*bakeTarget
	for _, name := range slices.Sorted(maps.Keys(project.Services)) {
		if project.Services[name].Build == nil {
			continue
		}
		d := service(name, files[0], *project.Services[name].Build, f.options.Env)
		t := &bakeTarget{
			Name: bakeName(name), Context: &d.Context, Dockerfile: &d.Dockerfile, Target: &d.Target,
			Platforms: d.Platforms, untouched: true,
			Network: &d.Options.Network, NoCache: &d.NoCache,
		}
		for limit, l := range project.Services[name].Build.Ulimits {
			t.Ulimits = append(t.Ulimits, fmt.Sprintf("%s=%d:%d", limit, l.Soft, l.Hard)) // of a single value bake takes none
		}
		for host, addresses := range d.Options.Hosts {
			t.ExtraHosts = overlay(t.ExtraHosts, map[string]*string{host: &addresses})
		}
		if d.Options.ShmSize > 0 {
			size := units.BytesSize(float64(d.Options.ShmSize)) // rounded, as bake does
			t.ShmSize = &size
		}
		for _, text := range project.Services[name].Build.CacheFrom {
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
		targets = append(targets, t)
	}
	return targets
}

// bakeName is what bake calls a service (buildx: bake.sanitizeTargetName).
func bakeName(service string) string { return strings.ReplaceAll(service, ".", "_") }

// chosen returns the files that COMPOSE_FILE names in the .env beside them, as
// if they were given with -f; else files. One that lies outside of the
// repository is nobody's to choose but the user's.
func (f *finder) chosen(dir string, files []string) []string {
	dotEnv := filepath.Join(dir, ".env")
	if regular(dotEnv) != nil {
		return files
	}
	values, err := dotenv.GetEnvFromFile(nil, []string{dotEnv})
	if err != nil || values["COMPOSE_FILE"] == "" {
		return files // what is wrong with it is told where it is read for its values
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

// service is the definition of one service. Paths are already absolute, except
// that a Dockerfile is relative to its context. env are the variables of the process
// that builds.
func service(name, origin string, build types.BuildConfig, env map[string]string) buildctx.Definition {
	d := buildctx.Definition{
		Name: name, Origin: origin, Context: build.Context, Dockerfile: build.Dockerfile, Inline: build.DockerfileInline,
		Target: build.Target, Platforms: build.Platforms,
	}
	if d.Inline == "" && d.Dockerfile == "" {
		d.Dockerfile = "Dockerfile"
	}
	if !d.Remote() && d.Dockerfile != "" && !filepath.IsAbs(d.Dockerfile) {
		d.Dockerfile = filepath.Join(d.Context, d.Dockerfile)
	}
	for arg, value := range build.Args {
		if value == nil {
			continue // not set in the environment: compose passes none
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
		// Compose names another service's image, BuildKit's clients a target.
		if other, ok := strings.CutPrefix(from, types.ServicePrefix); ok {
			from = buildctx.TargetPrefix + other
		}
		d.NamedContexts[as] = from
	}
	return d
}

// composeInput stands between compose's loader and the machine: it decides
// what may be read and remembers what was asked for.
type composeInput struct {
	*finder
	main string
	// blamed is the file that an error is about, if it is not main.
	blamed string
	// dirs are where the files read so far lie: what they include is relative
	// to one of them.
	dirs []string
	// unset are the names of variables without a value or default; values are
	// those that were used, which no message may show.
	unset, values map[string]bool
	// written are the texts that variables were put into, by what became of
	// them.
	written map[string]string
}

func newComposeInput(f *finder, main string) *composeInput {
	return &composeInput{
		finder: f, main: main, dirs: []string{filepath.Join(f.root, filepath.FromSlash(path.Dir(main)))},
		unset: map[string]bool{}, values: map[string]bool{}, written: map[string]string{},
	}
}

// load reads the project. Files of services (env_file, label_file) and what no
// build needs are left alone.
func (in *composeInput) load(ctx context.Context, dir string, files []string) (*types.Project, error) {
	details := types.ConfigDetails{WorkingDir: dir}
	if !slices.Contains(in.dirs, dir) {
		in.dirs = append(in.dirs, dir)
	}
	for _, rel := range files {
		data, err := in.readFile(rel)
		if err != nil {
			return nil, fmt.Errorf("cannot be read: %s", reason(err))
		}
		if err := vetIncludes(data); err != nil {
			return nil, err
		}
		details.ConfigFiles = append(details.ConfigFiles, types.ConfigFile{
			Filename: filepath.Join(in.root, filepath.FromSlash(rel)), Content: data,
		})
	}
	env, err := in.environment(filepath.Join(dir, ".env"))
	if err != nil {
		return nil, err
	}
	details.Environment = env
	return loader.LoadWithContext(ctx, details, func(o *loader.Options) {
		name := loader.NormalizeProjectName(filepath.Base(dir))
		if name == "" {
			name = "stoker" // no build depends on it
		}
		o.SetProjectName(name, true)
		o.Profiles = []string{"*"}
		o.SkipConsistencyCheck = true
		o.SkipResolveEnvironment = true
		o.SkipResolveLabels = true
		o.ResourceLoaders = []loader.ResourceLoader{in}
		o.Interpolate.Substitute = in.substitute
	})
}

// environment is the caller's, with the project's .env file below it.
func (in *composeInput) environment(file string) (types.Mapping, error) {
	in.read(file)
	env := types.Mapping{}
	err := regular(file)
	if err == nil {
		var values map[string]string
		// Its parser's errors quote the line, and that is what a .env hides.
		if values, err = dotenv.GetEnvFromFile(in.options.Env, []string{file}); err != nil {
			err = errors.New("is not a list of NAME=value lines")
		}
		maps.Copy(env, values)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		in.blamed = in.rel(file)
		return nil, fmt.Errorf("cannot be read: %s", reason(err))
	}
	maps.Copy(env, in.options.Env)
	return env, nil
}

// substitute expands the variables of one string.
func (in *composeInput) substitute(text string, lookup template.Mapping) (string, error) {
	expanded, err := template.SubstituteWithOptions(text, func(name string) (string, bool) {
		value, ok := lookup(name)
		if ok {
			in.values[value] = true
		}
		return value, ok
	}, template.WithoutLogging, template.WithReplacementFunction(in.replace))
	if plain := strings.ReplaceAll(text, "$$", "$"); plain != expanded {
		in.written[expanded] = plain
	}
	return expanded, err
}

// replace is compose's own replacement, except that it remembers the names of
// variables that have neither a value nor a default.
func (in *composeInput) replace(reference string, lookup template.Mapping, cfg *template.Config) (string, error) {
	value, known, err := template.DefaultReplacementAppliedFunc(reference, lookup, cfg)
	if name := strings.Trim(reference, "${}"); err == nil && !known && !strings.HasPrefix(reference, "$$") && name != "" {
		in.unset[name] = true
	}
	return value, err
}

// Accept is asked about every file that an include or extends names
// (loader.ResourceLoader). It takes those that must not be read, for Load to
// refuse; the others go on to compose's own loader of local files.
func (in *composeInput) Accept(file string) bool {
	return in.refusal(file) != nil
}

// Load refuses what Accept took.
func (in *composeInput) Load(_ context.Context, file string) (string, error) {
	return "", in.refusal(file)
}

// Dir is never asked for, because Load gives no file.
func (in *composeInput) Dir(string) string { return "" }

// refusal returns why file is not read, or nil.
func (in *composeInput) refusal(file string) error {
	if strings.Contains(file, "://") || strings.HasPrefix(file, "git@") || strings.HasPrefix(file, "oci:") || strings.HasPrefix(file, "github.com/") {
		return fmt.Errorf("%s is remote, and stoker fetches nothing to read a repository", file)
	}
	places := []string{file}
	if !filepath.IsAbs(file) {
		places = places[:0]
		for _, dir := range in.dirs {
			places = append(places, filepath.Join(dir, file))
		}
	}
	for _, place := range places {
		err := regular(place)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err == nil {
			err = in.vet(place)
		}
		if err != nil {
			return fmt.Errorf("%s %w", file, err)
		}
	}
	return nil
}

// vet looks into a file that is about to be included: what it includes itself,
// and the .env that compose reads beside it.
func (in *composeInput) vet(place string) error {
	dir := filepath.Dir(place)
	if !slices.Contains(in.dirs, dir) {
		in.dirs = append(in.dirs, dir)
	}
	in.read(place)
	in.read(filepath.Join(dir, ".env"))
	if err := regular(filepath.Join(dir, ".env")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("has a .env beside it that %w", err)
	}
	data, err := os.ReadFile(place)
	if err != nil {
		return err
	}
	return vetIncludes(data)
}

// explain turns an error of the loader into a problem of the main file.
func (in *composeInput) explain(err error) Problem {
	text := err.Error()
	for value := range in.values {
		// Shorter ones would tear words apart, and are no secrets.
		if len(value) >= 4 {
			text = strings.ReplaceAll(text, value, "…")
			text = strings.ReplaceAll(text, strings.Trim(strconv.Quote(value), `"`), "…")
		}
	}
	p := Problem{File: cmp.Or(in.blamed, in.main), Text: text, Hint: "see `docker compose config`"}
	for file := range in.files {
		if rest, ok := strings.CutPrefix(text, "validating "+file+": "); ok {
			p.File, p.Text = in.rel(file), rest
		} else if rest, ok := strings.CutPrefix(text, "failed to parse "+file+": "); ok {
			p.File, p.Text = in.rel(file), rest
		}
	}
	p.Text = firstSentence(strings.ReplaceAll(p.Text, in.root+string(filepath.Separator), ""))
	p.Text = strings.TrimPrefix(p.Text, "decoding failed due to the following error(s): ")
	if data, err := os.ReadFile(filepath.Join(in.root, filepath.FromSlash(p.File))); err == nil {
		p.Line = lineOf(data, p.Text)
	}
	return p
}

// firstSentence returns the first line of a message, and the second if the
// first only announces it.
func firstSentence(text string) string {
	first, rest, _ := strings.Cut(text, "\n")
	if strings.HasSuffix(first, ":") {
		second, _, _ := strings.Cut(strings.TrimSpace(rest), "\n")
		first += " " + second
	}
	return first
}

// reason says why a file cannot be read, without its path.
func reason(err error) string {
	var pathErr *os.PathError
	switch {
	case errors.Is(err, syscall.ENOTDIR):
		return syscall.ENOENT.Error() // to whoever looks for the file it is the same
	case errors.As(err, &pathErr):
		return pathErr.Err.Error()
	}
	return "it " + err.Error()
}
