package discover

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/docker/go-units"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"

	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/context/dockerfile"
)

// workingDirectory is the prefix of a path relative to the directory in which bake is run.
const workingDirectory = "cwd://"

// A bakeConfig is the content of bake files (buildx: bake.Config).
type bakeConfig struct {
	Groups  []*bakeGroup  `hcl:"group,block" cty:"group"`
	Targets []*bakeTarget `hcl:"target,block" cty:"target"`
}

type bakeGroup struct {
	Name    string   `hcl:"name,label" cty:"name"`
	Targets []string `hcl:"targets" cty:"targets"`
}

// A bakeTarget has the attributes of a target that matter to a definition, and those that
// expressions of other targets often refer to; nil is absent. Others are not evaluated
// (buildx: bake.Target).
type bakeTarget struct {
	Name       string             `hcl:"name,label" cty:"name"`
	Inherits   []string           `hcl:"inherits,optional" cty:"inherits"`
	Context    *string            `hcl:"context,optional" cty:"context"`
	Contexts   map[string]string  `hcl:"contexts,optional" cty:"contexts"`
	Dockerfile *string            `hcl:"dockerfile,optional" cty:"dockerfile"`
	Inline     *string            `hcl:"dockerfile-inline,optional" cty:"dockerfile-inline"`
	Args       map[string]*string `hcl:"args,optional" cty:"args"`
	Labels     map[string]*string `hcl:"labels,optional" cty:"labels"`
	Tags       []string           `hcl:"tags,optional" cty:"tags"`
	Target     *string            `hcl:"target,optional" cty:"target"`
	Platforms  []string           `hcl:"platforms,optional" cty:"platforms"`
	Call       *string            `hcl:"call,optional" cty:"call"`

	Network       *string            `hcl:"network,optional" cty:"network"`
	ExtraHosts    map[string]*string `hcl:"extra-hosts,optional" cty:"extra-hosts"`
	ShmSize       *string            `hcl:"shm-size,optional" cty:"shm-size"`
	Ulimits       []string           `hcl:"ulimits,optional" cty:"ulimits"`
	NoCache       *bool              `hcl:"no-cache,optional" cty:"no-cache"`
	NoCacheFilter []string           `hcl:"no-cache-filter,optional" cty:"no-cache-filter"`
	CacheFrom     cty.Value          `hcl:"cache-from,optional" cty:"cache-from"` // texts and objects

	untouched bool   // it is a compose service that no bake file changes
	shown     string // Inline as a compose file writes it, without values; "" if that is equal
	template  bool   // it is there only to be inherited from
}

// Merge overrides what t says by what over says. The parser calls it for blocks with one
// name (buildx: Target.Merge).
func (t *bakeTarget) Merge(over *bakeTarget) {
	t.untouched = false
	for _, p := range []struct{ to, from **string }{
		{&t.Context, &over.Context}, {&t.Dockerfile, &over.Dockerfile}, {&t.Inline, &over.Inline}, {&t.Target, &over.Target}, {&t.Call, &over.Call},
		{&t.Network, &over.Network}, {&t.ShmSize, &over.ShmSize},
	} {
		if *p.from != nil {
			*p.to = *p.from
		}
	}
	if over.Inline != nil {
		t.shown = over.shown
	}
	for name, value := range over.Args {
		if value != nil {
			t.Args = overlay(t.Args, map[string]*string{name: value})
		}
	}
	t.Contexts = overlay(t.Contexts, over.Contexts)
	if over.Platforms != nil {
		t.Platforms = over.Platforms
	}
	t.ExtraHosts = overlay(t.ExtraHosts, over.ExtraHosts)
	t.Ulimits = append(t.Ulimits, over.Ulimits...)
	if over.NoCache != nil {
		t.NoCache = over.NoCache
	}
	t.NoCacheFilter = append(t.NoCacheFilter, over.NoCacheFilter...)
	t.CacheFrom = joined(t.CacheFrom, over.CacheFrom)
	t.Inherits = append(t.Inherits, over.Inherits...)
}

// overlay returns a map with the entries of both; those of over win. It is nil if there are
// none.
func overlay[V any](base, over map[string]V) map[string]V {
	if len(base)+len(over) == 0 {
		return nil
	}
	out := maps.Clone(base)
	if out == nil {
		out = map[string]V{}
	}
	maps.Copy(out, over)
	return out
}

// resolveAll returns all targets with what they inherit, sorted by name.
func (c *bakeConfig) resolveAll() ([]*bakeTarget, error) {
	inherited, grouped := map[string]bool{}, map[string]bool{"default": true}
	for _, t := range c.Targets {
		for _, parent := range t.Inherits {
			inherited[parent] = true
		}
	}
	for _, g := range c.Groups {
		for _, name := range g.Targets {
			grouped[name] = true
		}
	}
	var all []*bakeTarget
	for _, t := range c.Targets {
		resolved, err := c.resolve(t.Name, map[string]*bakeTarget{})
		if err != nil {
			return nil, err
		}
		resolved.Name, resolved.untouched = t.Name, t.untouched
		resolved.template = inherited[t.Name] && !grouped[t.Name] && (strings.HasPrefix(t.Name, "_") || resolved.saysNothing())
		all = append(all, resolved)
	}
	slices.SortFunc(all, func(a, b *bakeTarget) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// asks reports whether t builds nothing and only calls a method of the frontend, as with
// call = "check".
func (t *bakeTarget) asks() bool { return t.Call != nil && *t.Call != "" && *t.Call != "build" }

// saysNothing reports whether t sets nothing that decides what is built, and so is there to
// give others their tags or labels.
func (t *bakeTarget) saysNothing() bool {
	return t.Context == nil && t.Dockerfile == nil && t.Inline == nil && t.Target == nil &&
		len(t.Args)+len(t.Contexts)+len(t.Platforms) == 0
}

// resolve returns a target merged with its parents: a later parent wins over an earlier
// one, the target itself over all. In a cycle, nothing is inherited from a target that is
// being resolved (buildx: Config.target).
func (c *bakeConfig) resolve(name string, visited map[string]*bakeTarget) (*bakeTarget, error) {
	if t, ok := visited[name]; ok {
		return t, nil
	}
	visited[name] = nil
	at := slices.IndexFunc(c.Targets, func(t *bakeTarget) bool { return t.Name == name })
	if at < 0 {
		return nil, fmt.Errorf("there is no target %s to inherit from", name)
	}
	t := &bakeTarget{}
	for _, parent := range c.Targets[at].Inherits {
		p, err := c.resolve(parent, visited)
		if err != nil {
			return nil, err
		}
		if p != nil {
			t.Merge(p)
		}
	}
	t.Merge(c.Targets[at])
	maps.DeleteFunc(t.Contexts, func(_, ref string) bool { return ref == "" })
	visited[name] = t
	return t, nil
}

// definition returns the definition of t with absolute paths: the context is relative to
// dir, where bake is run, and the Dockerfile to the context (buildx: bake.toBuildOpt). env
// are the variables of the building process.
func (t *bakeTarget) definition(origin, dir string, env map[string]string) buildctx.Definition {
	text := func(s *string, otherwise string) string {
		if s == nil || *s == "" {
			return otherwise
		}
		return *s
	}
	d := buildctx.Definition{
		Name: t.Name, Origin: origin, Context: localPath(text(t.Context, "."), dir), Inline: text(t.Inline, ""),
		Target: text(t.Target, ""), Platforms: buildctx.Platforms(t.Platforms),
	}
	if d.Inline == "" {
		d.Dockerfile = text(t.Dockerfile, "Dockerfile")
		if below, ok := strings.CutPrefix(d.Dockerfile, workingDirectory); ok {
			d.Dockerfile = filepath.Join(dir, below)
		} else if !d.Remote() {
			d.Dockerfile = localPath(d.Dockerfile, d.Context)
		}
	}
	for arg, value := range t.Args {
		d.Args = overlay(d.Args, map[string]string{arg: *value})
	}
	d.Options = t.options()
	d.NoCache, d.NoCacheStages, d.Imports = t.NoCache != nil && *t.NoCache, t.NoCacheFilter, imports(t.CacheFrom, env)
	for as, ref := range t.Contexts {
		d.NamedContexts = overlay(d.NamedContexts, map[string]string{as: localPath(ref, dir)})
	}
	return d
}

// options are what bake tells BuildKit of the surroundings of steps; what it would
// refuse is left out (buildx: bake.toBuildOpt).
func (t *bakeTarget) options() dockerfile.Options {
	var o dockerfile.Options
	if t.Network != nil {
		o.Network = *t.Network
	}
	for name, addresses := range t.ExtraHosts {
		if addresses != nil {
			o.Hosts = overlay(o.Hosts, map[string]string{name: *addresses})
		}
	}
	if t.ShmSize != nil {
		if size, err := units.RAMInBytes(*t.ShmSize); err == nil {
			o.ShmSize = size
		}
	}
	limits := map[string]string{} // the last of a name counts
	for _, text := range t.Ulimits {
		if l, err := units.ParseUlimit(text); err == nil {
			limits[l.Name] = l.String()
		}
	}
	o.Ulimits = slices.Sorted(maps.Values(limits))
	return o
}

// elements returns the elements of a list, or none if they are not known.
func elements(list cty.Value) []cty.Value {
	if list == cty.NilVal || list.IsNull() || !list.IsWhollyKnown() || !list.CanIterateElements() {
		return nil
	}
	var all []cty.Value
	for _, v := range list.Elements() {
		all = append(all, v)
	}
	return all
}

// joined returns a list of the elements of two lists.
func joined(a, b cty.Value) cty.Value {
	return cty.TupleVal(append(elements(a), elements(b)...))
}

// imports reads the list of cache-from, whose elements are strings or objects: see
// addImports.
func imports(list cty.Value, env map[string]string) []buildctx.Import {
	var out []buildctx.Import
	for _, v := range elements(list) {
		var got []buildctx.Import
		var err error
		if v.Type() == cty.String {
			got, err = buildctx.ParseImports(v.AsString(), env)
		} else {
			got, err = buildctx.NewImports(attributes(v), env)
		}
		out = addImports(out, got, err)
	}
	return out
}

// addImports adds the entries of more that list does not have. If err is not nil, they
// could not be read, and stand as an import of which nothing is known.
func addImports(list, more []buildctx.Import, err error) []buildctx.Import {
	if err != nil {
		more = []buildctx.Import{{}}
	}
	for _, i := range more {
		if !slices.Contains(list, i) {
			list = append(list, i)
		}
	}
	return list
}

// attributes returns the attributes of an object that are or convert to strings.
func attributes(object cty.Value) map[string]string {
	attrs := map[string]string{}
	if !object.CanIterateElements() || !object.Type().IsObjectType() && !object.Type().IsMapType() {
		return attrs
	}
	for name, v := range object.AsValueMap() {
		if text, err := convert.Convert(v, cty.String); err == nil && !text.IsNull() {
			attrs[name] = text.AsString()
		}
	}
	return attrs
}

// localPath returns ref relative to base as an absolute path, or as it is if it is not a
// path but an address.
func localPath(ref, base string) string {
	ref = strings.TrimPrefix(ref, workingDirectory)
	if layout, ok := strings.CutPrefix(ref, "oci-layout://"); ok && !filepath.IsAbs(layout) {
		return "oci-layout://" + filepath.Join(base, layout)
	}
	if (buildctx.Definition{Context: ref}).Remote() || filepath.IsAbs(ref) {
		return ref
	}
	return filepath.Join(base, ref)
}
