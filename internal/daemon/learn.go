package daemon

import (
	"context"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/stokerd/stoker/cache/buildkit"
	"github.com/stokerd/stoker/cache/store"
	buildctx "github.com/stokerd/stoker/context"
)

// definitions returns the definitions that were learnt from builds of the repository, with
// the values of args that are in memory.
func (r *repository) definitions() []buildctx.Definition {
	known, err := r.daemon.store.Learnt(r.root, time.Now())
	if err != nil {
		r.log.Error("read learnt definitions", "error", err)
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var defs []buildctx.Definition
	values := map[string]map[string]string{}
	for _, l := range known {
		if held, ok := r.values[l.Ref]; ok {
			values[l.Ref] = held
		}
		defs = append(defs, l.Definition(values[l.Ref]))
	}
	r.values = values // drops values of builds that later ones have replaced
	return defs
}

// learn makes a definition of a build in r that no definition describes, and reports whether
// it could. The folder and the Dockerfile are those that the client names, else those of def.
// The values of the build's args are kept in memory only. After a restart they are read
// again from the builder's history, for as long as that has the build.
func (r *repository) learn(ctx context.Context, ev buildkit.Event, j buildkit.Join, def buildctx.Definition) bool {
	folder, file := j.LocalContext, dockerfilePath(j)
	if folder == "" {
		folder, file = def.Context, def.Dockerfile
	}
	l, ok := r.learnt(ev, j, folder, file)
	if !ok {
		return false
	}
	if err := r.daemon.store.PutLearnt(l); err != nil {
		r.log.Error("store a learnt definition", "error", err)
		return false
	}
	r.hold(ev)
	return r.do(ctx, r.open) == nil
}

// recall takes from ev the values of its args, if r learnt a definition from that build and
// a restart of the daemon lost them. It reports whether it did.
func (r *repository) recall(ev buildkit.Event) bool {
	known, err := r.daemon.store.Learnt(r.root, time.Now())
	if err != nil {
		r.log.Error("read learnt definitions", "error", err)
	}
	for _, l := range known {
		if l.Ref == ev.Ref && len(l.Args) > 0 && maps.Equal(l.Args, r.digests(ev)) {
			return r.hold(ev)
		}
	}
	return false
}

// hold keeps the values of a build's args in memory, and reports whether there were none of
// this build.
func (r *repository) hold(ev buildkit.Event) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, have := r.values[ev.Ref]
	r.values[ev.Ref] = ev.Args()
	return !have
}

// digests returns, by name, keyed digests of the values of a build's args.
func (r *repository) digests(ev buildkit.Event) map[string]string {
	digests := map[string]string{}
	for name, value := range ev.Args() {
		digests[name] = r.daemon.store.Digest(value)
	}
	return digests
}

// learnt returns the definition of a build, whose context is folder and whose Dockerfile is
// file. It returns false if the definition would not be enough to build it again: both must
// lie in the repository, the Dockerfile must be a regular file, and named contexts must be
// repeatable.
func (r *repository) learnt(ev buildkit.Event, j buildkit.Join, folder, file string) (store.Learnt, bool) {
	l := store.Learnt{
		Repository: r.root, Context: r.relative(folder), Dockerfile: r.relative(file),
		Target: j.Target, Platforms: j.Platforms, Args: r.digests(ev), Ref: ev.Ref, Seen: ev.Completed,
	}
	if j.RemoteContext || !filepath.IsLocal(l.Context) || !filepath.IsLocal(l.Dockerfile) {
		return l, false
	}
	if fi, err := os.Stat(filepath.Join(r.root, filepath.FromSlash(l.Dockerfile))); err != nil || !fi.Mode().IsRegular() {
		return l, false
	}
	for name, address := range ev.NamedContexts() {
		if !repeatable(address) {
			return l, false
		}
		if l.NamedContexts == nil {
			l.NamedContexts = map[string]string{}
		}
		l.NamedContexts[name] = address
	}
	return l, true
}

// repeatable reports whether a named context means the same to another client,
// and holds no credentials.
func repeatable(address string) bool {
	if strings.HasPrefix(address, "docker-image://") {
		return true
	}
	u, err := url.Parse(address)
	return err == nil && u.User == nil && (u.Scheme == "https" || u.Scheme == "http" || u.Scheme == "git")
}
