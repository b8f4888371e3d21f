package cli

import (
	"cmp"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/docker/go-units"
	"github.com/spf13/cobra"

	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/internal/api"
)

// adHoc are the flags that spell a definition as docker build does.
type adHoc struct {
	file      string
	target    string
	args      []string
	platforms []string
	contexts  []string

	// of registerSteps and registerCache
	network   string
	hosts     []string
	shmSize   string
	ulimits   []string
	reuseNone bool
	noStages  []string
	cacheFrom []string
}

func (a *adHoc) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVarP(&a.file, "file", "f", "", "Dockerfile of the directory given, as for docker build")
	f.StringVar(&a.target, "target", "", "stage to build")
	f.StringArrayVar(&a.args, "build-arg", nil, "build arg, NAME=VALUE, or NAME to take it from the environment")
	f.StringSliceVar(&a.platforms, "platform", nil, "platforms to build for")
	f.StringArrayVar(&a.contexts, "build-context", nil, "additional build context, NAME=DIR or NAME=ADDRESS")
}

// registerSteps adds the flags that change what RUN steps find around them.
func (a *adHoc) registerSteps(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&a.network, "network", "", "network of RUN steps: default, host or none")
	f.StringArrayVar(&a.hosts, "add-host", nil, "host that RUN steps know, NAME:ADDRESS")
	f.StringVar(&a.shmSize, "shm-size", "", "size of /dev/shm")
	f.StringArrayVar(&a.ulimits, "ulimit", nil, "limit of RUN steps, NAME=SOFT:HARD")
}

// registerCache adds the flags that say where results are looked for.
func (a *adHoc) registerCache(cmd *cobra.Command) {
	f := cmd.Flags()
	f.BoolVar(&a.reuseNone, "no-cache", false, "of a build that reuses nothing")
	f.StringSliceVar(&a.noStages, "no-cache-filter", nil, "of a build that reuses nothing in these stages")
	f.StringArrayVar(&a.cacheFrom, "cache-from", nil, "of a build that looks into this cache, too")
}

func (a *adHoc) given() bool {
	return a.network != "" || a.shmSize != "" || a.reuseNone || len(a.hosts)+len(a.ulimits)+len(a.noStages)+len(a.cacheFrom) > 0 ||
		a.file != "" || a.target != "" || len(a.args)+len(a.platforms)+len(a.contexts) > 0
}

// query says what the arguments of a command are about: names of definitions,
// or, with any of the flags or where an argument is a path, one that is spelt
// out. A name never holds a separator, and is not "." (discover: cleanName).
func (a *adHoc) query(o *options, args []string) (api.Query, error) {
	q := api.Query{Dir: o.Dir}
	if !a.given() && !slices.ContainsFunc(args, isPath) {
		q.Names = args
		return q, nil
	}
	if len(args) > 1 {
		return q, usage("as docker build, give one directory", "a build has one context directory, and %d were given", len(args))
	}
	spec := api.AdHoc{Context: o.Dir, Target: a.target, Platforms: a.platforms}
	if len(args) == 1 {
		spec.Context = o.absolute(args[0])
	}
	if a.file == "-" || len(args) == 1 && args[0] == "-" {
		return q, usage("write it to a file", "a Dockerfile or context from stdin is not supported")
	}
	if !strings.Contains(spec.Context, "://") {
		if fi, err := os.Stat(spec.Context); err != nil || !fi.IsDir() {
			mend := "name a folder that exists"
			if len(args) == 1 && !isPath(args[0]) {
				mend += "; the NAME of a build does not go with flags that spell one out"
			}
			return q, usage(mend, "the build context %s is no folder", cmp.Or(strings.Join(args, ""), spec.Context, "."))
		}
		spec.Dockerfile = filepath.Join(spec.Context, "Dockerfile")
	}
	if a.file != "" {
		spec.Dockerfile = o.absolute(a.file)
	}
	var err error
	if spec.Args, err = a.values(o); err != nil {
		return q, err
	}
	if spec.NamedContexts, err = a.namedContexts(o); err != nil {
		return q, err
	}
	if err := a.steps(&spec); err != nil {
		return q, err
	}
	spec.NoCache, spec.NoCacheStages = a.reuseNone, a.noStages
	for _, text := range a.cacheFrom {
		imports, err := buildctx.ParseImports(text, o.env())
		if err != nil {
			return q, usage("for example --cache-from registry.example/app:cache", "--cache-from %s: %v", text, err)
		}
		for _, i := range imports {
			spec.Imports = append(spec.Imports, api.Import(i))
		}
	}
	q.AdHoc = &spec
	return q, nil
}

// steps reads the flags of registerSteps.
func (a *adHoc) steps(spec *api.AdHoc) error {
	switch a.network {
	case "", "default":
	case "host", "none":
		spec.Network = a.network
	default:
		return usage("one of default, host and none", "--network: BuildKit has no network %q", a.network)
	}
	for _, host := range a.hosts {
		name, address, ok := strings.Cut(host, "=")
		if !ok {
			name, address, ok = strings.Cut(host, ":")
		}
		if !ok || name == "" || address == "" {
			return usage("for example --add-host db:10.0.0.5", "--add-host %s is not NAME:ADDRESS", host)
		}
		if spec.Hosts == nil {
			spec.Hosts = map[string]string{}
		}
		if known := spec.Hosts[name]; known != "" {
			address = known + "," + address
		}
		spec.Hosts[name] = address
	}
	if a.shmSize != "" {
		size, err := units.RAMInBytes(a.shmSize)
		if err != nil {
			return usage("for example --shm-size 128m", "--shm-size: %q is no size", a.shmSize)
		}
		spec.ShmSize = size
	}
	limits := map[string]string{} // the last of a name counts
	for _, text := range a.ulimits {
		limit, err := units.ParseUlimit(text)
		if err != nil {
			return usage("for example --ulimit nofile=1024:2048", "--ulimit %s: %v", text, err)
		}
		limits[limit.Name] = limit.String()
	}
	spec.Ulimits = slices.Sorted(maps.Values(limits))
	return nil
}

// isPath reports whether an argument is a path rather than a name.
func isPath(arg string) bool {
	return arg == "." || arg == ".." || strings.ContainsAny(arg, `/\`)
}

// values reads the build args; one without a value and unset in the environment
// is not passed on (docker: opts.ConvertKVStringsToMapWithNil).
func (a *adHoc) values(o *options) (map[string]string, error) {
	env, values := o.env(), map[string]string{}
	for _, arg := range a.args {
		name, value, ok := strings.Cut(arg, "=")
		if name == "" {
			return nil, usage("for example --build-arg NODE_ENV=production", "--build-arg has no name before the =")
		}
		if !ok {
			if value, ok = env[name]; !ok {
				o.hint("--build-arg %s is not passed on: no such variable is set, and no value was given", name)
				continue
			}
		}
		values[name] = value
	}
	return values, nil
}

func (a *adHoc) namedContexts(o *options) (map[string]string, error) {
	named := map[string]string{}
	for _, c := range a.contexts {
		name, value, ok := strings.Cut(c, "=")
		if !ok || name == "" || value == "" {
			return nil, usage("for example --build-context docs=../docs", "--build-context %s is not NAME=DIR", c)
		}
		named[name] = o.absolute(value)
	}
	return named, nil
}

// absolute returns a path seen from the current folder; addresses stay.
func (o *options) absolute(name string) string {
	if strings.Contains(name, "://") || strings.HasPrefix(name, "git@") || strings.HasPrefix(name, "target:") || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(o.Dir, name)
}
