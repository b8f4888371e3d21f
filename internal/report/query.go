package report

import (
	"path/filepath"

	"github.com/stokerd/stoker/cache/buildkit"
	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/api"
)

// Definition returns the definition that flags of a command describe. It is named after the
// context directory, and has the Dockerfile in there unless another one was given.
func Definition(a api.AdHoc) buildctx.Definition {
	d := buildctx.Definition{
		Name: filepath.Base(a.Context), Context: a.Context, Dockerfile: a.Dockerfile, Target: a.Target,
		Args: a.Args, Platforms: a.Platforms, NamedContexts: a.NamedContexts,
		Options: dockerfile.Options{Network: a.Network, Hosts: a.Hosts, ShmSize: a.ShmSize, Ulimits: a.Ulimits},
		NoCache: a.NoCache, NoCacheStages: a.NoCacheStages,
	}
	for _, i := range a.Imports {
		d.Imports = append(d.Imports, buildctx.Import(i))
	}
	if d.Dockerfile == "" && !d.Remote() {
		d.Dockerfile = filepath.Join(a.Context, "Dockerfile")
	}
	return d
}

// Builder reports the builder that was found, or why there is none.
func Builder(d buildkit.Discovery) api.Builder {
	if len(d.Builders) == 0 {
		return api.Builder{Problem: d.Problem(), Hint: d.Hint()}
	}
	return Connected(d.Builders[0].Info())
}

// Connected reports a builder that stoker is connected to.
func Connected(info buildkit.Info) api.Builder {
	b := api.Builder{Name: info.Name, Kind: info.Kind, Address: info.Address, Version: info.Version, Connected: true}
	if !info.History {
		b.Note = buildkit.ErrNoHistory.Error()
	}
	return b
}
