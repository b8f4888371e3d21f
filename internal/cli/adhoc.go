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

	// Of registerSteps and registerCache; unset unless those were called.
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

// given reports whether any of the flags was.
func (a *adHoc) given() bool {
	return a.network != "" || a.shmSize != "" || a.reuseNone || len(a.hosts)+len(a.ulimits)+len(a.noStages)+len(a.cacheFrom) > 0 ||
		a.file != "" || a.target != "" || len(a.args)+len(a.platforms)+len(a.contexts) > 0
}

// query returns what the arguments of a command ask about: the definitions they
// name or, if a flag is given or an argument is a path, the one that they spell
// out. A name never has a path separator, and is not "." (discover: cleanName).
func (a *adHoc) query(o *options, args []string) (api.Query, error) {
	q := api.Query{Dir: o.Dir}
	if !a.given() && !slices.ContainsFunc(args, isPath) {
		q.Names = args
		return q, nil
	}
	if len(args) > 1 {
		return q, usage("as docker build, give one directory", "a build has one context directory, and %d were given", len(args))
	}
	spec := api.AdHoc{Target: a.target, Platforms: buildctx.Platforms(a.platforms), NoCache: a.reuseNone, NoCacheStages: a.noStages}
	var err error
	if spec.Context, spec.Dockerfile, err = a.locate(o, strings.Join(args, "")); err != nil {
		return q, err
	}
	if spec.Args, err = a.values(o); err != nil {
		return q, err
	}
	if spec.NamedContexts, err = a.namedContexts(o); err != nil {
		return q, err
	}
	if err := a.steps(&spec); err != nil {
		return q, err
	}
	if spec.Imports, err = a.imports(o); err != nil {
		return q, err
	}
	q.AdHoc = &spec
	return q, nil
}

// locate returns the build context that dir names, the current folder if it is "",
// and the Dockerfile. The Dockerfile of a remote context is "" unless -f names it.
func (a *adHoc) locate(o *options, dir string) (root, file string, err error) {
	if a.file == "-" || dir == "-" {
		return "", "", usage("write it to a file", "a Dockerfile or context from stdin is not supported")
	}
	root = o.Dir
	if dir != "" {
		root = o.absolute(dir)
	}
	if !strings.Contains(root, "://") {
		if fi, err := os.Stat(root); err != nil || !fi.IsDir() {
			hint := "name a folder that exists"
			if dir != "" && !isPath(dir) {
				hint += "; the NAME of a build does not go with flags that spell one out"
			}
			return "", "", usage(hint, "the build context %s is no folder", cmp.Or(dir, root, "."))
		}
		file = filepath.Join(root, "Dockerfile")
	}
	if a.file != "" {
		file = o.absolute(a.file)
	}
	return root, file, nil
}

// imports reads the --cache-from flags.
func (a *adHoc) imports(o *options) ([]api.Import, error) {
	var imports []api.Import
	for _, text := range a.cacheFrom {
		parsed, err := buildctx.ParseImports(text, o.env())
		if err != nil {
			return nil, usage("for example --cache-from registry.example/app:cache", "--cache-from %s: %v", text, err)
		}
		for _, i := range parsed {
			imports = append(imports, api.Import(i))
		}
	}
	return imports, nil
}

// steps sets in spec what the flags of registerSteps say.
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

// absolute makes a path absolute, relative to the current folder. Addresses are
// returned as they are.
func (o *options) absolute(name string) string {
	if strings.Contains(name, "://") || strings.HasPrefix(name, "git@") || strings.HasPrefix(name, "target:") || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(o.Dir, name)
}
