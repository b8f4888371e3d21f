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

// definitions returns what was learnt of the repository.
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
	r.values = values // without those of builds that others took the place of
	return defs
}

// learn makes a definition of a build in r that none declares, and reports whether it
// could. def says of what folder it was where the client does not. The values of its args stay in memory; after a restart they
// are read again from the builder's history, for as long as that has the build.
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

// recall takes the values of args from a build that r has learnt of, if a restart of
// the daemon lost them. It reports whether they are news.
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

// hold keeps the values of a build's args in memory, and reports whether they
// were not there.
func (r *repository) hold(ev buildkit.Event) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, have := r.values[ev.Ref]
	r.values[ev.Ref] = ev.Args()
	return !have
}

func (r *repository) digests(ev buildkit.Event) map[string]string {
	digests := map[string]string{}
	for name, value := range ev.Args() {
		digests[name] = r.daemon.store.Digest(value)
	}
	return digests
}

// learnt returns what a build of a Dockerfile in a folder says of its definition, if that
// is enough to build it again: folders within the repository, and a Dockerfile that is a file.
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
