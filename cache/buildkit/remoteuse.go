package buildkit

import (
	"slices"
	"strings"

	"github.com/moby/buildkit/client"

	"github.com/stokerd/stoker/cache"
)

// inlineStatus is what BuildKit calls the making of a cache within an image, which is part of
// the image's export and no vertex of its own (BuildKit: llbsolver, runInlineCacheExporter).
const inlineStatus = "preparing layers for inline cache"

// exportsCache reports whether v writes a cache (BuildKit: remotecache, Exporter.Name).
// Collecting the results, and compressing and sending layers, are part of it.
func (v *seenVertex) exportsCache() bool {
	return strings.HasPrefix(v.Name, "exporting cache") || v.Name == "exporting to GitHub Actions Cache"
}

// importsCache reports whether v reads what a cache has (BuildKit: llbsolver, loadResult). The
// rest of the name is an address.
func (v *seenVertex) importsCache() bool {
	return strings.HasPrefix(v.Name, "importing cache manifest")
}

// remoteUse returns what the build, whose steps are given, had to do with caches elsewhere.
func (o *observation) remoteUse(steps []cache.Step) cache.RemoteUse {
	var use cache.RemoteUse
	exports, imports, pulls := slices.Clone(o.seen.inline), []Run(nil), []Run(nil)
	for _, v := range o.seen.vertices {
		switch {
		case v.exportsCache():
			exports = append(exports, v.runs()...)
		case v.importsCache():
			imports = append(imports, v.runs()...)
			use.Read = use.Read || v.Completed != nil && v.Error == ""
		}
	}
	for i, g := range o.groups {
		if steps[i].Outcome != cache.Imported {
			continue
		}
		for _, digest := range g.digests {
			pulls = append(pulls, o.seen.vertices[digest].pulls...)
		}
	}
	use.Export, use.Import, use.Fetch = covered(exports), covered(imports), covered(pulls)
	return use
}

// ended returns when st was under way, or nothing if it is not known to have ended.
func ended(st *client.VertexStatus) []Run {
	if st.Started == nil || st.Completed == nil {
		return nil
	}
	return []Run{{*st.Started, *st.Completed}}
}
