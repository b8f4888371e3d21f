package buildctx

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/session/filesync"
	"github.com/tonistiigi/fsutil"
	"github.com/tonistiigi/fsutil/types"
)

// An askedFor records which files a builder asked the client for. The keys of its
// maps are the names of local contexts.
type askedFor struct {
	mu    sync.Mutex                 // guards the fields that follow
	files map[string]map[string]bool // set of paths
	sent  map[string]int             // requests that were answered to the end
	cut   map[string]int             // requests that were not
	other map[string]int             // requests for an ignore file
}

func newAskedFor() *askedFor {
	return &askedFor{
		files: map[string]map[string]bool{}, sent: map[string]int{}, cut: map[string]int{}, other: map[string]int{},
	}
}

func (a *askedFor) sorted(local string) []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Sorted(maps.Keys(a.files[local]))
}

// whole reports whether so many requests for local were answered to the end, and none was cut
// short. A build that fails cancels its other requests, and does not make those yet to come.
func (a *askedFor) whole(local string, requests int) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.sent[local]-a.other[local] >= requests && a.cut[local] == 0
}

// A watchedFS counts the requests for a local that are under way or cut short.
type watchedFS struct {
	fsutil.FS
	local string
	asked *askedFor
}

func (w watchedFS) Walk(ctx context.Context, target string, fn fs.WalkDirFunc) error {
	w.count(0, 1)
	err := w.FS.Walk(ctx, target, fn)
	switch {
	case err != nil:
	case target == string(filepath.Separator): // by the sender, not one that follows links
		w.count(1, -1)
	default:
		w.count(0, -1)
	}
	return err
}

func (w watchedFS) count(sent, cut int) {
	w.asked.mu.Lock()
	defer w.asked.mu.Unlock()
	w.asked.sent[w.local] += sent
	w.asked.cut[w.local] += cut
}

// filter is a [filesync.FilterOptFunc]. It does not record the requests for the
// Dockerfile and the ignore files.
func (a *askedFor) filter(name string, opt *fsutil.FilterOpt) error {
	if name == "dockerfile" || len(opt.FollowPaths) == 1 && opt.FollowPaths[0] == ".dockerignore" {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.other[name]++
		return nil
	}
	inner := opt.Map
	opt.Map = func(p string, st *types.Stat) fsutil.MapResult {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.files[name] == nil {
			a.files[name] = map[string]bool{}
		}
		a.files[name][filepath.ToSlash(p)] = true
		if inner != nil {
			return inner(p, st)
		}
		return fsutil.MapResultKeep
	}
	return nil
}

var _ filesync.FilterOptFunc = newAskedFor().filter

// build builds c and exports the result to the returned directory.
func (c *buildCase) build(t *testing.T, bk *client.Client) (*askedFor, string, error) {
	asked := newAskedFor()
	out := t.TempDir()
	dirs := map[string]string{"context": c.main, "dockerfile": filepath.Dir(c.def.Dockerfile)}
	// With the cache, a COPY that would fail may be a hit on another of equal content.
	attrs := map[string]string{"filename": filepath.Base(c.def.Dockerfile), "no-cache": ""}
	if c.named != "" {
		dirs["other"] = c.named
		attrs["context:other"] = "local:other"
	}
	mounts := map[string]fsutil.FS{}
	for name, dir := range dirs {
		files, err := fsutil.NewFS(dir)
		if err != nil {
			t.Fatal(err)
		}
		mounts[name] = watchedFS{files, name, asked}
	}
	_, err := bk.Solve(context.WithoutCancel(t.Context()), nil, client.SolveOpt{
		Frontend: "dockerfile.v0", FrontendAttrs: attrs, LocalMounts: mounts, LocalFilterOpt: asked.filter,
		Exports: []client.ExportEntry{{Type: client.ExporterLocal, OutputDir: out}}, Internal: true,
	}, nil)
	return asked, out, err
}

// effective lists a local's effective context as treeOf lists a directory.
func effective(l Local) []string {
	var list []string
	for f := range l.All() {
		list = append(list, fmt.Sprintf("%s %v %s", f.Path, f.Mode, f.Link))
	}
	slices.Sort(list)
	return list
}

// treeOf lists the files below root on disk.
func treeOf(t *testing.T, root string) []string {
	t.Helper()
	tree, err := Scan(t.Context(), root, nil)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for e := range tree.All() {
		list = append(list, fmt.Sprintf("%s %v %s", e.Path, e.Mode, e.Link))
	}
	slices.Sort(list)
	return list
}
